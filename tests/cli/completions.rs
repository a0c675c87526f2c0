//! Tabs in real shells, on terminals of their own. A shell that isn't there is said, and left out.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::harness::Sim;
use crate::terminal::Terminal;

/// How a shell is started, and made to write the line that is typed into a file.
struct Shell {
    name: &'static str,
    arguments: &'static [&'static str],
    /// Run at its prompt; `SCRIPT` and `OUT` stand for paths.
    setup: &'static str,
}

const BASH: Shell = Shell {
    name: "bash",
    arguments: &["--norc", "--noprofile", "-i"],
    setup: "source SCRIPT; bind 'set bell-style none'; bind -x '\"\\C-x\\C-p\": printf \"%s|\" \"$READLINE_LINE\" > OUT.new; mv OUT.new OUT'",
};
const ZSH: Shell = Shell {
    name: "zsh",
    arguments: &["-f", "-i"],
    setup: "autoload -Uz compinit && compinit -u -D; source SCRIPT; setopt no_beep; put() { print -rn -- \"$BUFFER|\" > OUT.new; mv OUT.new OUT }; zle -N put; bindkey '^X^P' put",
};
const FISH: Shell = Shell {
    name: "fish",
    arguments: &["--no-config", "-i"],
    setup: "source SCRIPT; bind \\cx\\cp 'printf \"%s|\" (commandline -b) > OUT.new; mv OUT.new OUT'",
};

impl Shell {
    fn is_here(&self) -> bool {
        let is_here = std::process::Command::new(self.name).arg("--version").output().is_ok();
        if !is_here {
            // Not by `println!`: of a test that passes that is not shown.
            let line = format!("SKIPPED: there is no {} here: its completions were not tried\n", self.name);
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
        is_here
    }
}

/// A shell at its prompt.
struct Prompt<'a> {
    shell: &'a Shell,
    terminal: Terminal,
    out: PathBuf,
}

impl<'a> Prompt<'a> {
    fn new(sim: &Sim, shell: &'a Shell) -> Prompt<'a> {
        let script = sim.file("script", sim.run(&["completions", shell.name]).exits(0).stdout);
        let out = sim.path("line");
        let herder = PathBuf::from(env!("CARGO_BIN_EXE_herder"));
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", herder.parent().unwrap().display());
        std::fs::create_dir_all(sim.path("home")).unwrap();
        let started =
            sim.herder(shell.arguments).program(shell.name).env("PATH", path).env("LANG", "C.UTF-8");
        let mut terminal = Terminal::with(started.on_terminal());
        let setup = shell.setup.replace("SCRIPT", &script).replace("OUT", out.to_str().unwrap());
        terminal.types(&format!("{setup}; echo rea''dy\r"));
        terminal.shows("ready");
        Prompt { shell, terminal, out }
    }

    /// The line after these keys.
    fn line(&mut self, keys: &str) -> String {
        let _ = std::fs::remove_file(&self.out);
        // Away with what was typed before.
        self.terminal.types("\u{5}\u{15}");
        self.terminal.types(keys);
        self.terminal.types("\u{18}\u{10}");
        let out = self.out.clone();
        let is_whole = || std::fs::read_to_string(&out).is_ok_and(|text| text.ends_with('|'));
        self.terminal.wait_until(&format!("{}: {keys}", self.shell.name), is_whole);
        std::fs::read_to_string(&self.out).unwrap().trim_end_matches('|').to_owned()
    }

    /// The line becomes this, where a Tab is typed behind it.
    #[track_caller]
    fn completes(&mut self, typed: &str, expected: &str) {
        let line = self.line(&format!("{typed}\t"));
        assert_eq!(
            line,
            expected,
            "{}: {typed}<Tab>; on the screen:\n{}",
            self.shell.name,
            self.terminal.text()
        );
    }
}

/// A fleet that a listing saw, and a run that the journal has.
fn fleet() -> Sim {
    let sim = Sim::start("6,windows=0");
    let _ = sim.run(&["nodes", "list"]).exits(0);
    let _ = sim.run(&["exec", "-t", "web-1", "--", "true"]).exits(0);
    let _ = sim.file("fix it.sh", "exit 0\n");
    sim
}

/// What all shells do alike.
fn plain(prompt: &mut Prompt<'_>) {
    for (typed, expected) in [
        ("herder nod", "herder nodes "),
        ("herder exec -t ap", "herder exec -t api-1 "),
        ("herder session ap", "herder session api-1 "),
        ("herder exec -t we", "herder exec -t web-"),
        ("herder exec --target=ap", "herder exec --target=api-1 "),
        ("herder exec -t tag:ro", "herder exec -t tag:role="),
        ("herder exec -t tag:role=ap", "herder exec -t tag:role=api "),
        ("herder exec -t tag:role=web,ap", "herder exec -t tag:role=web,api "),
        ("herder exec -t platf", "herder exec -t platform:"),
        ("herder exec -t az:us-", "herder exec -t az:us-east-1"),
        ("herder exec -t @la", "herder exec -t @last"),
        ("herder exec -t @last:und", "herder exec -t @last:undelivered "),
        ("herder --region eu-west-1,us-gov-e", "herder --region eu-west-1,us-gov-east-1 "),
        ("herder exec --max-er", "herder exec --max-errors "),
        ("herder runs show la", "herder runs show last "),
        ("herder exec -t api-1 -- ap", "herder exec -t api-1 -- ap"),
        ("herder exec -t nobody-has-this-name", "herder exec -t nobody-has-this-name"),
    ] {
        prompt.completes(typed, expected);
    }
}

/// Tabs without anything to complete from: silence, and the line as it was.
fn silent(sim: &Sim, prompt: &mut Prompt<'_>) {
    std::fs::remove_dir_all(sim.path("cache")).unwrap();
    prompt.completes("herder exec -t ap", "herder exec -t ap");
    prompt.completes("herder runs show la", "herder runs show last ");
    let config = sim.path("config/herder");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(config.join("config.toml"), "no = [toml").unwrap();
    let before = prompt.terminal.text().len();
    prompt.completes("herder exec -t tag:", "herder exec -t tag:");
    let said = prompt.terminal.text()[before..].to_owned();
    assert!(!said.contains("error") && !said.contains("config"), "{}: {said}", prompt.shell.name);
}

fn no_call(sim: &Sim, work: impl FnOnce()) {
    let before = sim.control.requests().len();
    work();
    assert_eq!(sim.control.requests().len(), before, "a Tab called AWS");
}

#[test]
fn bash_completes() {
    if !BASH.is_here() {
        return;
    }
    let sim = fleet();
    let mut prompt = Prompt::new(&sim, &BASH);
    no_call(&sim, || {
        plain(&mut prompt);
        prompt.completes(
            "herder exec -t 'tag:env=prod and tag:role=ap",
            "herder exec -t 'tag:env=prod and tag:role=api' ",
        );
        prompt.completes("herder exec -t \"not tag:role=ap", "herder exec -t \"not tag:role=api\" ");
        prompt.completes("herder exec -t 'tag:ro", "herder exec -t 'tag:role=");
        prompt.completes("herder exec -t '!tag:role=d", "herder exec -t '!tag:role=db' ");
        prompt.completes("herder exec --script fi", "herder exec --script fix\\ it.sh ");
        prompt.completes("herder exec -t @fi", "herder exec -t @fix\\\\\\ it.sh ");
        prompt.completes(
            "HERDER_UTC=1 herder whoami; herder exec -t tag:role=ap",
            "HERDER_UTC=1 herder whoami; herder exec -t tag:role=api ",
        );
        // As some set it: nothing but blanks breaks words.
        prompt.terminal.types("\u{15}COMP_WORDBREAKS=' '; echo wi''thout\r");
        prompt.terminal.shows("without");
        prompt.completes("herder exec -t tag:role=ap", "herder exec -t tag:role=api ");
        let _ = prompt.line("herder exec -t web-\t\t");
        prompt.terminal.shows("web-3");
        silent(&sim, &mut prompt);
    });
}

#[test]
fn zsh_completes() {
    if !ZSH.is_here() {
        return;
    }
    let sim = fleet();
    let mut prompt = Prompt::new(&sim, &ZSH);
    no_call(&sim, || {
        plain(&mut prompt);
        prompt.completes(
            "herder exec -t 'tag:env=prod and tag:role=ap",
            "herder exec -t 'tag:env=prod and tag:role=api' ",
        );
        prompt.completes("herder exec -t 'tag:ro", "herder exec -t 'tag:role=");
        prompt.completes("herder exec --script fi", "herder exec --script fix\\ it.sh ");
        let _ = prompt.line("herder exec -t we\t\t");
        prompt.terminal.shows("web-3  -- i-");
        silent(&sim, &mut prompt);
    });
}

#[test]
fn fish_completes() {
    if !FISH.is_here() {
        return;
    }
    let sim = fleet();
    let mut prompt = Prompt::new(&sim, &FISH);
    no_call(&sim, || {
        plain(&mut prompt);
        prompt.completes(
            "herder exec -t 'tag:env=prod and tag:role=ap",
            "herder exec -t 'tag:env=prod and tag:role=api' ",
        );
        prompt.completes("herder exec --script fi", "herder exec --script fix\\ it.sh ");
        silent(&sim, &mut prompt);
    });
}

#[test]
fn fish_offers_values_for_a_word_that_is_not_begun_yet() {
    if !FISH.is_here() {
        return;
    }
    let sim = fleet();
    let script = sim.file("again", sim.run(&["completions", "fish"]).exits(0).stdout);
    let of = |line: &str| {
        let arguments = ["--no-config", "-c", &format!("source {script}; complete -C '{line}'")];
        let herder = PathBuf::from(env!("CARGO_BIN_EXE_herder"));
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", herder.parent().unwrap().display());
        let offered = sim.herder(arguments).program("fish").env("PATH", path).run().exits(0).text();
        offered.lines().map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert!(of("herder exec -t ").contains(&"web-1".to_owned()), "{:?}", of("herder exec -t "));
    assert!(of("herder ").contains(&"exec".to_owned()), "{:?}", of("herder "));
}

/// Of ten thousand nodes, in whatever build this is: a bound that catches a Tab that reads them all. The figure of the release build
/// is the benchmark's.
#[test]
fn a_tab_is_quick_with_ten_thousand_nodes() {
    let sim = Sim::start("10000");
    let _ = sim.run(&["nodes", "list", "-o", "quiet"]).exits(0);
    let requests = sim.control.requests().len();
    for shell in ["zsh", "fish"] {
        for words in
            [&["exec", "-t", ""][..], &["session", "web-1"], &["exec", "-t", "i-0"], &["exec", "-t", "tag:"]]
        {
            let arguments = [&["__complete", shell, "herder"], words].concat();
            let best = (0..5).map(|_| {
                let began = Instant::now();
                let output = sim.run(&arguments).exits(0);
                assert!(!output.text().is_empty() && output.stderr.is_empty(), "{output:?}");
                began.elapsed()
            });
            let best = best.min().unwrap();
            println!("{shell} {words:?}: {} ms", best.as_millis());
            assert!(best < Duration::from_millis(500), "{words:?} took {best:?}");
        }
    }
    assert_eq!(sim.control.requests().len(), requests, "a Tab called AWS");
}
