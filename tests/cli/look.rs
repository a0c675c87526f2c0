//! How it looks to people: widths, colours, times, and what was probably meant.

use crate::harness::Sim;
use crate::terminal::Terminal;

/// What is shown on a terminal of so many columns.
fn shown(sim: &Sim, columns: u16, words: &[&str], variables: &[(&str, &str)]) -> String {
    let mut command = sim.herder(words).on_terminal();
    command.envs(variables.iter().copied());
    Terminal::sized(command, columns).all()
}

/// Whether a text has a colour or weight: `ESC [ … m`.
fn is_coloured(text: &str) -> bool {
    text.split("\u{1b}[").skip(1).any(|rest| {
        let end = rest.find(|c: char| c.is_ascii_alphabetic());
        end.and_then(|end| rest[end..].chars().next()) == Some('m')
            && !rest.starts_with("0m")
            && !rest.starts_with('m')
    })
}

#[test]
fn narrow_terminals_fold_no_ids() {
    let sim = Sim::start("6,windows=0");
    let ids = sim.ids(None);
    for columns in [120, 80, 60, 40, 24] {
        let text = shown(&sim, columns, &["nodes", "list"], &[]);
        let lines: Vec<&str> = text.lines().collect();
        for id in &ids {
            assert!(lines.iter().any(|line| line.starts_with(id)), "{columns}: {id}\n{text}");
        }
        let table = lines.iter().take_while(|line| !line.starts_with('(')).count();
        assert_eq!(table, ids.len() + 1, "{columns}: a line for each\n{text}");
        let widest = lines[..table].iter().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= usize::from(columns), "{columns}\n{text}");
        assert_eq!(text.contains("no room"), columns < 100, "{columns}\n{text}");
    }
    // A setting without its value would say nothing: that is folded.
    let file = sim.file(
        "a-configuration-with-a-name-that-is-much-too-long-for-sixty-columns.toml",
        "region = \"eu-west-1\"\n",
    );
    let text = shown(&sim, 60, &["config", "show"], &[("HERDER_CONFIG", &file)]);
    assert!(text.lines().next().unwrap().contains("VALUE"), "{text}");
    // `COLUMNS` says it too.
    let text = shown(&sim, 200, &["nodes", "list"], &[("COLUMNS", "60")]);
    assert!(text.contains("no room at 60 columns"), "{text}");
    // Columns that were asked for are never left out.
    let text = shown(&sim, 30, &["nodes", "list", "--columns", "id,az,private_ip"], &[]);
    assert!(!text.contains("no room") && text.contains(&ids[0]), "{text}");
}

#[test]
fn nothing_is_coloured_where_nobody_wants_it() {
    let sim = Sim::start("3,windows=0");
    let command = ["exec", "-t", "all", "--yes", "--max-errors", "100%", "--", "exit 3"];
    for words in
        [&command[..], &["--help"], &["nodes", "list"], &["exec", "-t", "nobody", "--", "true"], &["exec"]]
    {
        assert!(!is_coloured(&shown(&sim, 100, words, &[("NO_COLOR", "1")])), "{words:?}");
        assert!(!is_coloured(&shown(&sim, 100, words, &[("TERM", "dumb")])), "{words:?}");
        let piped = sim.run(words);
        assert!(!piped.text().contains('\u{1b}') && !piped.stderr.contains('\u{1b}'));
    }
    assert!(is_coloured(&shown(&sim, 100, &["--help"], &[])), "on a terminal it is");
}

#[test]
fn times_are_local_or_utc() {
    let sim = Sim::start("3,windows=0");
    let _ = sim.run(&["exec", "-t", "web-1", "--", "true"]).exits(0);
    let tokyo = [("TZ", "Asia/Tokyo")];
    let text = shown(&sim, 160, &["runs", "list"], &tokyo);
    assert!(text.contains("+09:00"), "{text}");
    for (words, variables) in [
        (&["runs", "list", "--utc"][..], &tokyo[..]),
        (&["runs", "list"], &[("TZ", "Asia/Tokyo"), ("HERDER_UTC", "1")]),
    ] {
        let text = shown(&sim, 160, words, variables);
        assert!(!text.contains("+09:00") && text.contains("20"), "{text}");
    }
    let piped = sim.herder(["runs", "list"]).env("TZ", "Asia/Tokyo").run().exits(0);
    assert!(piped.text().contains('Z') && !piped.text().contains("+09:00"));
}

#[test]
fn slips_are_told() {
    let sim = Sim::start("12,windows=0");
    let _ = sim.run(&["nodes", "list"]).exits(0);
    let _ = sim.run(&["exec", "-t", "web-1", "--", "true"]).exits(0);
    let run = sim.the_run().file_name().unwrap().to_str().unwrap().to_owned();
    let slip = format!("{}{}", &run[..21], if run.ends_with('0') { '1' } else { '0' });
    for (words, code, meant) in [
        (&["exec", "-t", "web-01", "--", "true"][..], 3, "Did you mean `web-1`?"),
        (&["nodes", "show", "wbe-2"], 3, "Did you mean `web-2`?"),
        (&["exec", "-t", "tag:role=weeb", "--", "true"], 3, "Did you mean `tag:role=web`?"),
        (&["exec", "-t", "tag:rolle=web", "--", "true"], 3, "Did you mean `tag:role=web`?"),
        (&["exec", "-t", "tags:role=web", "--", "true"], 2, "did you mean `tag:`?"),
        (&["exec", "-t", "@last:faild", "--", "true"], 2, "did you mean `failed`?"),
        (&["exec", "-t", "platform:linus", "--", "true"], 2, "did you mean `linux`?"),
        (&["runs", "show", "lats"], 2, "did you mean `last`?"),
        (&["runs", "show", &slip], 3, &format!("Did you mean `{run}`?")),
        (&["runs", "retry", "last", "--where", "faild"], 2, "did you mean `failed`?"),
        (&["nodes", "list", "--columns", "nmae"], 2, "did you mean `name`?"),
        (&["exce"], 2, "'exec'"),
        (&["exec", "--max-error", "1", "-t", "web-1", "--", "true"], 2, "'--max-errors'"),
        (&["man", "nods"], 3, "Did you mean `nodes`?"),
        (&["help", "exit-code"], 2, "Did you mean `exit-codes`?"),
    ] {
        let output = sim.run(words).exits(code);
        let _ = output.says(meant);
    }
}
