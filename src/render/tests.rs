use serde_json::Value;

use super::fixture::{Fixture, every_event, start, started, target};
use super::*;
use crate::io::{Captured, Fake};
use herder_core::event::{Body, Event, OutputPiece, Stream};
use herder_core::verdict::Verdict;

fn options(format: Format) -> RenderOptions {
    RenderOptions {
        format,
        diff: false,
        zone: TimeZone::UTC,
        columns: Vec::new(),
        out_dir: None,
        clock: Arc::new(start),
    }
}

fn show(fixture: &Fixture, fake: Fake, options: &RenderOptions) -> (Captured, io::Result<()>) {
    let (io, captured) = Io::test(fake);
    let mut renderer = renderer(&io, options);
    for (envelope, stored) in &fixture.events {
        renderer.event(envelope, stored.as_ref()).unwrap();
    }
    let result = renderer.finish(&fixture.bodies);
    (captured, result)
}

fn stdout(fake: Fake, options: &RenderOptions) -> String {
    let (captured, result) = show(&every_event(), fake, options);
    result.unwrap();
    captured.stdout()
}

fn tty(width: usize, colour: bool) -> Fake {
    Fake { is_stdout_tty: true, is_stderr_tty: true, width, colour, ..Fake::default() }
}

#[test]
fn folded_at_80_columns() {
    insta::assert_snapshot!(stdout(tty(80, false), &options(Format::Auto)), @r#"
    == 3 nodes ok: web-[1-2,10]
      Welcome
      to the
      fleet
    == 1 node ok: web-4
      Welcome
      to another
      fleet
    ! note: <U+009B>31m漢字
    -- 1 node not_run (budget): web-7
    !! 1 node failed (exit_7): web-5 (i-00000000000000005)
      ^[]0;owned^G^[[2Jgone
      <U+202E>txt	end
    ! no �
    !! 1 node undelivered (offline): web-6 (i-00000000000000006)
    "#);
}

#[test]
fn folded_at_120_columns_as_differences_in_colour() {
    let options = RenderOptions { diff: true, ..options(Format::Auto) };
    insta::assert_snapshot!(format!("{:?}", stdout(tty(120, true), &options)).replace("\\n", "\n"), @r#"
    "\u{1b}[32m== 3 nodes ok\u{1b}[0m: \u{1b}[1mweb-[1-2,10]\u{1b}[0m
      Welcome
      to the
      fleet
    \u{1b}[32m== 1 node ok\u{1b}[0m: \u{1b}[1mweb-4\u{1b}[0m
      Welcome
    \u{1b}[31m- to the\u{1b}[0m
    \u{1b}[32m+ to another\u{1b}[0m
      fleet
    ! \u{1b}[32m+ note: <U+009B>31m漢字\u{1b}[0m
    \u{1b}[33m-- 1 node not_run (budget)\u{1b}[0m: \u{1b}[1mweb-7\u{1b}[0m
    \u{1b}[31m!! 1 node failed (exit_7)\u{1b}[0m: \u{1b}[1mweb-5 (i-00000000000000005)\u{1b}[0m
    \u{1b}[31m- Welcome\u{1b}[0m
    \u{1b}[31m- to the\u{1b}[0m
    \u{1b}[31m- fleet\u{1b}[0m
    \u{1b}[32m+ ^[]0;owned^G^[[2Jgone\u{1b}[0m
    \u{1b}[32m+ <U+202E>txt\tend\u{1b}[0m
    ! \u{1b}[32m+ no �\u{1b}[0m
    \u{1b}[31m!! 1 node undelivered (offline)\u{1b}[0m: \u{1b}[1mweb-6 (i-00000000000000006)\u{1b}[0m
    "
    "#);
}

#[test]
fn without_colour_nothing_but_text() {
    for format in [Format::Auto, Format::Json, Format::Jsonl, Format::Csv, Format::Table, Format::Quiet] {
        for is_tty in [false, true] {
            let fake = Fake { is_stdout_tty: is_tty, ..Fake::default() };
            let (captured, _) = show(&every_event(), fake, &options(format));
            let raw_allowed = !is_tty && matches!(format, Format::Csv | Format::Auto);
            assert!(raw_allowed || !captured.stdout().contains(['\u{1b}', '\u{9b}']), "{format:?}");
            assert!(is_tty || !captured.stderr().contains("\u{1b}["), "{format:?}");
        }
    }
}

#[test]
fn lines_in_a_pipe() {
    let (captured, result) = show(&every_event(), Fake::default(), &options(Format::Auto));
    result.unwrap();
    insta::assert_snapshot!(captured.stdout().replace('\u{1b}', "<ESC>").replace('\u{7}', "<BEL>").replace('\u{202e}', "<RLO>"), @r#"
    i-00000000000000001	Welcome
    i-00000000000000001	to the
    i-00000000000000001	fleet
    i-00000000000000002	Welcome
    i-00000000000000002	to the
    i-00000000000000002	fleet
    i-0000000000000000a	Welcome
    i-0000000000000000a	to the
    i-0000000000000000a	fleet
    i-00000000000000004	Welcome
    i-00000000000000004	to another
    i-00000000000000004	fleet
    i-00000000000000005	<ESC>]0;owned<BEL><ESC>[2Jgone
    i-00000000000000005	<RLO>txt\tend
    "#);
    insta::assert_snapshot!(captured.stderr().replace('\u{9b}', "<CSI>").replace('\u{7}', "<BEL>"), @r#"
    run 20261121-093000-1f2e3d: 7 nodes, 2 waves: cat /etc/motd (SIMULATED)
    going on with 7 nodes that had no verdict
    wave 1 of 2: 5 nodes
    i-00000000000000004	note: <CSI>31m漢字
    i-00000000000000005	no �
    web-5 (i-00000000000000005): failed (exit_7)
    web-6 (i-00000000000000006): undelivered (offline)
    warning: the rate was not remembered
    hint: Make the cache directory writable.
    paused: credentials expired
    hint: Run `aws sso login`.
    going on
    wave 1 of 2 is over: 4 ok, 1 failed, 1 undelivered, 1 not_run so far
    gate `./check` passed after wave 1
    gate `alarm:a^G` passed after wave 1; warning: no data
    gate `./check^G` failed after wave 1: it ended with 1
    gate `alarm:b` failed in wave 1: ALARM
    stopping (gate): 0 in flight, 1 not sent
    cancelling 1 in flight, for up to 10 s; Ctrl-C again leaves at once
    run 20261121-093000-1f2e3d took 1m 05s: 4 ok, 1 failed, 1 undelivered, 1 not_run (SIMULATED)
      stopped early: `alarm:b^G`: ALARM
      run times: p50 804ms, p95 42s; slowest: web-4 42s, web-10 810ms, web-5 805ms, web-2 802ms, web-1 801ms
      1 straggler took more than 5.8s
      12 calls, 1 throttled
    hint: See it again with `herder runs show 20261121-093000-1f2e3d`.
    hint: Choose those that went wrong with `-t @20261121-093000-1f2e3d:bad`.
    "#);
}

/// Lines that were shown live are not shown again, as long as they are how the output begins.
#[test]
fn live_lines_are_shown_once() {
    let piece = |text: &str| {
        let target = target(1, Verdict::Ok, "", "").target;
        Event::Output(OutputPiece { target, stream: Stream::Stdout, text: text.into() })
    };
    let shown = |whole: &[u8]| {
        let end = Event::TargetFinished(Box::new(target(1, Verdict::Ok, whole.to_vec(), "")));
        let events = vec![started(1, &["eu-west-1"]), piece("one\ntw\u{fffd}o\n"), piece("\n"), end];
        let (captured, _) = show(&Fixture::new(events), Fake::default(), &options(Format::Auto));
        let lines: Vec<String> =
            captured.stdout().lines().map(|l| l.split_once('\t').unwrap().1.to_owned()).collect();
        (lines, captured.stderr().contains("this is all of it"))
    };
    let once = ["one", "tw\u{fffd}o", ""];
    let (lines, was_told) = shown(b"one\r\ntw\xffo\n\nthree");
    assert_eq!(
        (lines, was_told),
        ([&once[..], &["three"]].concat().iter().map(|l| (*l).to_owned()).collect(), false)
    );
    assert_eq!(shown(b"one\ntw\xffo\n").0.len(), 3 + 2, "there is less than was shown");
    let (lines, was_told) = shown(b"another\none\n");
    assert_eq!((lines[3..].to_vec(), was_told), (vec!["another".to_owned(), "one".to_owned()], true));
}

#[test]
fn several_scopes_name_nodes_in_full() {
    let target = Event::TargetFinished(Box::new(target(1, Verdict::Failed, "up\n", "")));
    let fixture = Fixture::new(vec![started(1, &["eu-west-1", "us-east-1"]), target]);
    for format in [Format::Auto, Format::Quiet] {
        let (captured, _) = show(&fixture, Fake::default(), &options(format));
        assert!(
            captured.stdout().starts_with("111122223333/eu-west-1/i-00000000000000001"),
            "{}",
            captured.stdout()
        );
    }
}

#[test]
fn jsonl_has_every_event_and_parses() {
    let text = stdout(Fake::default(), &options(Format::Jsonl));
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), every_event().events.len());
    assert!(lines.iter().all(|line| line["v"] == 1 && line["run"] == "20261121-093000-1f2e3d"));
    assert_eq!(lines.iter().filter(|line| line["type"] == "target_finished").count(), 7);
    assert_eq!(lines[14]["stderr"], "no \u{fffd}\n");
}

#[test]
fn json_is_one_document() {
    let document: Value = serde_json::from_str(&stdout(Fake::default(), &options(Format::Json))).unwrap();
    assert_eq!(document["run"]["id"], "20261121-093000-1f2e3d");
    assert_eq!((&document["run"]["exit"], &document["run"]["sim"]), (&Value::from(6), &Value::from(true)));
    assert_eq!(document["tally"]["ok"], 4);
    let targets = document["targets"].as_array().unwrap();
    let names: Vec<&str> = targets.iter().map(|t| t["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["web-1", "web-2", "web-4", "web-5", "web-6", "web-7", "web-10"]);
    assert_eq!(targets[0]["stdout"], "Welcome\nto the\nfleet\n");
    assert_eq!(targets[3]["target"], "i-00000000000000005");
}

#[test]
fn json_is_whole_even_without_events_or_bodies() {
    let empty = Fixture::new(Vec::new());
    let (captured, result) = show(&empty, Fake::default(), &options(Format::Json));
    result.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&captured.stdout()).unwrap()["run"]["id"], Value::Null);

    let (io, captured) = Io::test(Fake::default());
    let mut renderer = renderer(&io, &options(Format::Json));
    for (envelope, stored) in &every_event().events {
        renderer.event(envelope, stored.as_ref()).unwrap();
    }
    assert!(renderer.finish(&empty.bodies).is_err());
    let document: Value = serde_json::from_str(&captured.stdout()).unwrap();
    assert_eq!(document["targets"].as_array().unwrap().len(), 7);
}

#[test]
fn csv_is_rfc_4180() {
    let columns = ["name", "verdict", "stdout"].map(|c| c.parse().unwrap()).to_vec();
    let text = stdout(Fake::default(), &RenderOptions { columns, ..options(Format::Csv) });
    assert!(text.starts_with("name,verdict,stdout\r\nweb-1,ok,\"Welcome\nto the\nfleet\n\"\r\n"), "{text}");
    assert_eq!(
        "verdicts".parse::<RunColumn>().unwrap_err().to_string().split(';').next(),
        Some("`verdicts` is not a column (did you mean `verdict`?)")
    );
}

#[test]
fn a_table_of_the_run() {
    insta::assert_snapshot!(stdout(tty(80, false), &options(Format::Table)), @r#"
    NAME    TARGET               VERDICT      REASON   EXIT CODE  DURATION
    web-1   i-00000000000000001  ok           -        0          801ms
    web-2   i-00000000000000002  ok           -        0          802ms
    web-4   i-00000000000000004  ok           -        0          42s
    web-5   i-00000000000000005  failed       exit_7   7          805ms
    web-6   i-00000000000000006  undelivered  offline  -          -
    web-7   i-00000000000000007  not_run      budget   -          -
    web-10  i-0000000000000000a  ok           -        0          810ms
    "#);
}

#[test]
fn quiet_says_which_are_bad() {
    let (captured, _) = show(&every_event(), Fake::default(), &options(Format::Quiet));
    assert_eq!(captured.stdout(), "i-00000000000000005\ni-00000000000000006\n");
    assert!(!captured.stderr().contains("took"));
    assert!(captured.stderr().contains("warning: the rate was not remembered"));
}

#[test]
fn files_are_exact_and_private() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let out_dir = directory.path().join("out");
    let options = RenderOptions { out_dir: Some(out_dir.clone()), ..options(Format::Quiet) };
    stdout(Fake::default(), &options);
    let stem = out_dir.join("i-00000000000000005");
    assert_eq!(std::fs::read(stem.with_extension("stderr")).unwrap(), b"no \xff\n");
    let result: Value = serde_json::from_slice(&std::fs::read(stem.with_extension("json")).unwrap()).unwrap();
    assert_eq!((&result["verdict"], result.get("stdout")), (&Value::from("failed"), None));
    let mode = std::fs::metadata(stem.with_extension("stdout")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    std::fs::write(directory.path().join("file"), "").unwrap();
    let options = RenderOptions { out_dir: Some(directory.path().join("file")), ..options };
    let (captured, result) = show(&every_event(), Fake::default(), &options);
    assert!(result.is_err(), "what is missing is no success");
    assert_eq!(captured.stderr().matches("can't be written").count(), 3);
    assert!(captured.stderr().contains("the outputs of 7 nodes could not be written"));
}

/// What is too long for memory is shown from its file as the same bytes are from memory.
#[test]
fn long_outputs_are_shown_as_short_ones_are() {
    let text = b"one, \"two\"\r\n\tthree\xff\xe2\x82\xac\n\nno end of line ".repeat(5_000);
    let event = |body: &dyn Fn() -> Body| {
        let finished = target(1, Verdict::Failed, body(), body());
        Fixture::new(vec![started(1, &["eu-west-1"]), Event::TargetFinished(Box::new(finished))])
    };
    let short = event(&|| Body::from(text.clone()));
    let mut long = event(&|| Body::from(text.clone()));
    for (envelope, stored) in &mut long.events {
        if let (Event::TargetFinished(finished), Some(stored)) = (&mut envelope.event, stored) {
            finished.stdout = long.bodies.read(stored.stdout).unwrap();
            finished.stderr = long.bodies.read(stored.stderr).unwrap();
            assert_eq!(finished.stdout.in_memory(), None);
        }
    }
    let directory = tempfile::tempdir().unwrap();
    for format in [Format::Auto, Format::Json, Format::Jsonl, Format::Csv, Format::Quiet] {
        for fake in [Fake::default(), tty(80, false)] {
            let shown = |fixture: &Fixture, name: &str| {
                let out_dir = Some(directory.path().join(name));
                let columns = ["name", "stdout"].map(|c| c.parse().unwrap()).to_vec();
                let options = RenderOptions { out_dir, columns, ..options(format) };
                let (captured, result) = show(fixture, fake.clone(), &options);
                result.unwrap();
                let bytes = |name: &str| std::fs::read(directory.path().join(name)).unwrap();
                let stdout = bytes(&format!("{name}/i-00000000000000001.stdout"));
                (captured.stdout(), captured.stderr(), stdout)
            };
            let (short, long) = (shown(&short, "short"), shown(&long, "long"));
            assert!(short == long, "{format:?}: {:.500} is not {:.500}", long.0, short.0);
            assert!(short.2 == text);
        }
    }
}

#[test]
fn a_reader_that_goes_away_stops_nothing() {
    let directory = tempfile::tempdir().unwrap();
    for format in [Format::Auto, Format::Json, Format::Jsonl, Format::Csv, Format::Table, Format::Quiet] {
        let options = RenderOptions { out_dir: Some(directory.path().join("out")), ..options(format) };
        let (captured, result) =
            show(&every_event(), Fake { stdout_room: Some(10), ..Fake::default() }, &options);
        result.unwrap();
        assert_eq!(captured.stdout(), "", "{format:?}");
        assert!(directory.path().join("out/i-00000000000000007.json").exists());
        std::fs::remove_dir_all(directory.path().join("out")).unwrap();
    }
}

#[test]
fn live_view_is_drawn_and_taken_away() {
    let fixture = every_event();
    let (io, captured) = Io::test(Fake { is_stderr_tty: true, ..tty(80, false) });
    let seconds = Arc::new(std::sync::atomic::AtomicI64::new(0));
    let later = seconds.clone();
    let clock: Clock = Arc::new(move || {
        start() + jiff::SignedDuration::from_secs(later.load(std::sync::atomic::Ordering::Relaxed))
    });
    let mut renderer = renderer(&io, &RenderOptions { clock, ..options(Format::Auto) });
    for (envelope, stored) in fixture.events.iter().take(16) {
        renderer.event(envelope, stored.as_ref()).unwrap();
    }
    seconds.store(12, std::sync::atomic::Ordering::Relaxed);
    renderer.tick();
    insta::assert_snapshot!(captured.stderr().replace('\u{1b}', "<ESC>").replace('\r', "<CR>"), @r#"
    [----------------------------------------] 0/7 0%  0s
    SIMULATED  0 running
    <ESC>[2A<CR><ESC>[Jrun 20261121-093000-1f2e3d: 7 nodes, 2 waves: cat /etc/motd (SIMULATED)
    going on with 7 nodes that had no verdict
    wave 1 of 2: 5 nodes
    web-1 | Welcome
    [##################################------] 6/7 85%  12s  0.5/s  2s left
    SIMULATED  4 ok  1 failed  1 undelivered  0 running  wave 1 of 2  1 throttled
      failed web-5 (i-00000000000000005) (exit_7): no �
      undelivered web-6 (i-00000000000000006) (offline)
    "#);
    renderer.finish(&fixture.bodies).unwrap();
    assert!(captured.stderr().contains("\u{1b}[4A\r\u{1b}[J"));
}

#[test]
fn streams_to_the_same_terminal_have_no_live_view() {
    let (captured, _) = show(&every_event(), tty(80, false), &options(Format::Jsonl));
    assert!(!captured.stderr().contains('\u{1b}'));
}

#[test]
fn ascii_terminals_get_ascii() {
    let many = (1..90).map(|n| Event::TargetFinished(Box::new(target(n * 2, Verdict::Ok, "", ""))));
    let fixture = Fixture::new(std::iter::once(started(89, &["eu-west-1"])).chain(many).collect());
    let (captured, _) = show(&fixture, Fake { unicode: false, ..tty(80, false) }, &options(Format::Auto));
    assert!(captured.stdout().contains("... and"), "{}", captured.stdout());
    assert!(captured.stdout().is_ascii() && captured.stderr().is_ascii());
}

#[test]
fn errors_for_people_and_programs() {
    let causes = ["access denied\u{1b}".to_owned()];
    let hints = ["Allow ssm:SendCommand.".to_owned()];
    let report = ErrorReport {
        kind: "denied",
        message: "sending to i-1 was refused",
        causes: &causes,
        hints: &hints,
        request_id: Some("abc"),
        changed: false,
        is_simulated: false,
    };
    let (io, captured) = Io::test(Fake::default());
    report.write(&io, Format::Json).unwrap();
    let document: Value = serde_json::from_str(&captured.stdout()).unwrap();
    assert_eq!(document["error"]["kind"], "denied");
    assert_eq!(document["error"]["changed"], false);
    assert_eq!(
        captured.stderr(),
        "error: sending to i-1 was refused\n  caused by: access denied^[\n  request id: abc\nhint: Allow ssm:SendCommand.\n"
    );
    let (io, captured) = Io::test(Fake::default());
    report.write(&io, Format::Auto).unwrap();
    assert_eq!(captured.stdout(), "");
}
