//! Questions and answers, without a shell.

use std::time::Duration;

use herder_core::journal::Identity;
use tokio::time::Instant;

use super::*;
use crate::ops::nodes::Node;

/// A home directory with what herder keeps there.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Home {
        Home(tempfile::tempdir().unwrap())
    }

    fn environment(&self, more: &[(&str, &str)]) -> Environment {
        let mut all = vec![("HOME", self.0.path().to_str().unwrap()), ("AWS_REGION", "eu-west-1")];
        all.extend(more);
        Environment::new(all.iter().map(|(n, v)| ((*n).into(), (*v).into())))
    }

    /// A listing saw these.
    fn saw(&self, environment: &Environment, account: &str, nodes: &[Node]) {
        let identity = Identity {
            account: account.to_owned(),
            region: "eu-west-1".to_owned(),
            principal: "me".to_owned(),
            endpoint: environment.get("AWS_ENDPOINT_URL").map(str::to_owned),
            sim: false,
        };
        let gathered = Gathered::default();
        gathered.nodes(&identity, nodes);
        gathered.all(&identity);
        gathered.keep(
            &Settings::new(&GlobalArgs::default(), environment, ConfigFile::absent(environment)).unwrap(),
            environment,
        );
    }

    fn with_a_fleet() -> Home {
        let home = Home::new();
        let nodes = [("web-1", "prod", "a b"), ("web-2", "dev", "c"), ("db", "prod", "c")];
        let nodes: Vec<Node> = nodes
            .iter()
            .enumerate()
            .map(|(n, (name, env, owner))| node(n, name, &[("env", env), ("owner team", owner)]))
            .collect();
        home.saw(&home.environment(&[]), "111122223333", &nodes);
        home
    }

    fn offers(&self, line: &str) -> Vec<String> {
        self.offers_in(&[], line)
    }

    fn offers_in(&self, variables: &[(&str, &str)], line: &str) -> Vec<String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let found = typed(&self.environment(variables), &crate::command(), &words, MOST_BYTES);
        let mut values: Vec<String> = found.into_iter().map(|found| found.value).collect();
        values.sort();
        values
    }
}

fn node(n: usize, name: &str, tags: &[(&str, &str)]) -> Node {
    Node {
        id: format!("i-{n:017x}"),
        name: Some(name.to_owned()),
        az: Some("eu-west-1a".to_owned()),
        asg: Some(format!("group-{}", n % 7)),
        agent_version: Some("3.2.1".to_owned()),
        tags: Some(tags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()),
        ..Node::default()
    }
}

#[test]
fn nodes_are_offered_wherever_they_are_meant() {
    let home = Home::with_a_fleet();
    for line in [
        "exec -t we",
        "exec --target we",
        "session we",
        "session ssh we",
        "nodes show we",
        "exec --exclude we",
    ] {
        assert_eq!(home.offers(&format!("herder {line}")), ["web-1", "web-2"], "{line}");
    }
    assert_eq!(home.offers("herder exec --target=we"), ["--target=web-1", "--target=web-2"]);
    assert_eq!(home.offers("herder exec -twe"), ["-tweb-1", "-tweb-2"]);
    assert_eq!(home.offers("herder session ssh root@d"), ["root@db"]);
    assert_eq!(home.offers("herder session cp db"), ["db:"]);
    assert_eq!(home.offers("herder -y exec --region eu-west-1 -t d"), ["db"]);
    assert_eq!(
        home.offers("herder exec -t i-0000000000000000"),
        ["i-00000000000000000", "i-00000000000000001", "i-00000000000000002"]
    );
    assert!(home.offers("herder exec -t web-1 -- w").is_empty(), "a command for the nodes");
}

#[test]
fn conditions_are_completed_step_by_step() {
    let home = Home::with_a_fleet();
    assert_eq!(
        home.offers("herder exec -t ta"),
        ["tag:env=", "tag:owner\\ team="],
        "a single one is gone on with"
    );
    assert_eq!(home.offers("herder exec -t tag:e"), ["tag:env=dev", "tag:env=prod"]);
    assert_eq!(home.offers("herder exec -t tag:env=p"), ["tag:env=prod"]);
    assert_eq!(home.offers("herder exec -t tag:env=dev,p"), ["tag:env=dev,prod"]);
    assert_eq!(home.offers("herder exec -t !tag:env=p"), ["!tag:env=prod"]);
    assert_eq!(home.offers("herder exec -t tag:env=dev&az:"), ["tag:env=dev&az:eu-west-1a"]);
    assert_eq!(home.offers("herder exec -t asg:group-1"), ["asg:group-1"]);
    assert_eq!(home.offers("herder exec -t platform:linux,m"), ["platform:linux,macos"]);
    assert_eq!(home.offers("herder exec -t agent:l"), ["agent:le:", "agent:lt:"]);
    assert_eq!(home.offers("herder exec -t agent:lt:"), ["agent:lt:3.2.1"]);
    let words = ["herder", "exec", "-t", "tag:env=prod and not tag:owner\\ team=a"].map(str::to_owned);
    let found = typed(&home.environment(&[]), &crate::command(), &words, MOST_BYTES);
    assert_eq!(found[0].value, "tag:env=prod and not tag:owner\\ team=a\\ b");
}

#[test]
fn one_accounts_nodes_are_not_anothers() {
    let home = Home::with_a_fleet();
    let sim = [("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")];
    assert!(home.offers_in(&sim, "herder exec -t we").is_empty());
    home.saw(&home.environment(&sim), "000000000000", &[node(1, "weasel", &[])]);
    assert_eq!(home.offers_in(&sim, "herder exec -t we"), ["weasel"]);
    assert_eq!(home.offers("herder exec -t we"), ["web-1", "web-2"]);
    for other in ["--sim=9", "--profile=x", "--region=us-east-1", "--account=222233334444"] {
        assert!(home.offers(&format!("herder {other} exec -t we")).is_empty(), "{other}");
    }
    assert_eq!(home.offers("herder whoami --account 1"), ["111122223333"]);
    assert_eq!(home.offers_in(&sim, "herder whoami --account 0"), ["000000000000"]);
    // The same credentials, of another account now.
    home.saw(&home.environment(&[]), "222233334444", &[node(1, "new", &[])]);
    assert!(home.offers("herder exec -t we").is_empty());
    assert_eq!(home.offers("herder exec -t ne"), ["new"]);
}

#[test]
fn without_a_cache_there_is_what_is_here() {
    let home = Home::new();
    std::fs::create_dir_all(home.0.path().join(".aws")).unwrap();
    std::fs::write(home.0.path().join(".aws/config"), "[profile prod]\n[profile prod-eu]\n").unwrap();
    assert_eq!(home.offers("herder --profile p"), ["prod", "prod-eu"]);
    assert_eq!(
        home.offers("herder nodes list --region eu-west-1,us-w"),
        ["eu-west-1,us-west-1", "eu-west-1,us-west-2"]
    );
    assert_eq!(home.offers("herder exec --document AWS-RunSh"), ["AWS-RunShellScript"]);
    assert_eq!(home.offers("herder ru"), ["runs"]);
    assert_eq!(home.offers("herder runs re"), ["resume", "retry"]);
    assert_eq!(home.offers("herder runs show "), home.offers("herder runs show --"), "no runs: the options");
    assert_eq!(home.offers("herder exec --via "), ["auto", "client", "service"]);
    assert_eq!(home.offers("herder exec --max"), ["--max-errors"]);
    assert_eq!(home.offers("herder exec -t @last:un"), ["@last:undelivered", "@last:unknown"]);
    assert_eq!(home.offers("herder help ex"), ["exec", "exit-codes"]);
    assert_eq!(home.offers("herder help runs sh"), ["show"]);
    assert_eq!(home.offers("herder man session for"), ["forward"]);
    assert_eq!(home.offers("herder completions f"), ["fish"]);
    assert!(home.offers("herder exec -t ").contains(&"tag:".to_owned()));
    assert!(!home.offers("herder exec -y --yes --ye").contains(&"--yes".to_owned()), "given already");
}

#[test]
fn files_are_offered_by_their_paths() {
    let home = Home::new();
    for name in ["fix.sh", "fix it.sh", ".hidden"] {
        std::fs::write(home.0.path().join(name), "").unwrap();
    }
    std::fs::create_dir(home.0.path().join("dir")).unwrap();
    assert_eq!(home.offers("herder exec --script ~/fi"), ["~/fix it.sh", "~/fix.sh"]);
    assert_eq!(home.offers("herder exec -t @~/fi"), ["@~/fix.sh", "@~/fix\\ it.sh"]);
    assert_eq!(home.offers("herder --state-dir ~/"), ["~/dir/"]);
    assert_eq!(home.offers("herder exec --script ~/."), ["~/.hidden"]);
}

/// Whoever adds an argument says what completes it.
#[test]
fn the_value_of_every_argument_is_known() {
    fn check<'a>(path: &mut Vec<&'a str>, command: &'a clap::Command, unknown: &mut Vec<String>) {
        for arg in command.get_arguments().filter(|arg| takes_value(arg) && !arg.is_hide_set()) {
            if arg.get_possible_values().is_empty() && Kind::of(path, arg).is_none() {
                unknown.push(format!("{path:?} {} {:?}", arg.get_id(), arg.get_value_names()));
            }
        }
        for command in command.get_subcommands().filter(|c| !c.is_hide_set()) {
            path.push(command.get_name());
            check(path, command, unknown);
            path.pop();
        }
    }
    let mut unknown = Vec::new();
    check(&mut Vec::new(), &crate::command(), &mut unknown);
    assert_eq!(unknown, Vec::<String>::new(), "see `Kind::of`");
}

/// No value, no line and no cursor makes it fail.
#[test]
fn nonsense_has_an_answer() {
    let home = Home::with_a_fleet();
    let environment = home.environment(&[]);
    let root = crate::command();
    let parts = [
        "",
        "-",
        "--",
        "-t",
        "--target=",
        "exec",
        "session",
        "\\",
        "'",
        "tag:",
        "@",
        "é",
        "=",
        "help",
        "x y",
    ];
    for a in parts {
        for b in parts {
            for c in parts {
                let words = ["herder", a, b, c].map(str::to_owned);
                let _ = typed(&environment, &root, &words, MOST_BYTES);
                let _ = for_bash(&environment, &root, &[" \t\n\"'@><=;|&(:".to_owned(), words.join(" ")]);
            }
        }
    }
}

#[test]
fn ten_thousand_nodes_cost_little() {
    let home = Home::new();
    let nodes: Vec<Node> = (0..10_000)
        .map(|n| {
            node(
                n,
                &format!("web-{n}"),
                &[("env", ["prod", "dev"][n % 2]), ("owner", &format!("team-{}", n % 500))],
            )
        })
        .collect();
    home.saw(&home.environment(&[]), "111122223333", &nodes);
    let root = crate::command();
    for (line, at_least) in [
        ("exec -t ", 10),
        ("session ", 10),
        ("exec -t web-9", 10),
        ("exec -t i-", 1),
        ("exec -t tag:owner=", 500),
    ] {
        let best = (0..5).map(|_| {
            let began = Instant::now();
            let found = typed(
                &home.environment(&[]),
                &root,
                &format!("herder {line}").split(' ').map(str::to_owned).collect::<Vec<_>>(),
                MOST_BYTES,
            );
            assert!(found.len() >= at_least && found.len() <= 1000, "{line}: {}", found.len());
            began.elapsed()
        });
        // Of a build without optimisation, on a busy machine; the bound of the release build is measured by the benchmark.
        assert!(best.min().unwrap() < Duration::from_millis(250), "{line}");
    }
}
