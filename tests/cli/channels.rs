//! Outputs by way of S3 and CloudWatch Logs: exact, late, missing, cut, live, and shown again.

use std::io::{Read as _, Write as _};

use herder_sim::{ApiFault, FaultSpec, When};
use serde_json::Value;

use crate::harness::{Output, Sim};

/// Four Linux nodes that answer with all that makes an output hard to carry.
const FLEET: &str = r#"
spec = { nodes = 4, windows = 0, speed = 1000, rate = "off", duration = "quick" }

[[answer]]
command = "binary"
bytes = 3000000
binary = true
stderr = "half a line"

[[answer]]
command = "long"
bytes = 30000

[[answer]]
command = "both"
stdout = "out of {name}\n"
stderr = "err of {name}\n"
exit = 3
"#;

fn fleet(more: &str) -> Sim {
    Sim::scenario(&format!("{FLEET}{more}"))
}

/// An object, as the simulator has it.
fn object(sim: &Sim, key: &str) -> Vec<u8> {
    let address = sim.endpoint().strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let credential = "Credential=AKIASIMULATEDKEY0001/20260501/us-east-1/s3/aws4_request";
    write!(
        stream,
        "GET /herder-output/{key} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=00\r\n\r\n"
    )
    .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..head]));
    answer.split_off(head + 4)
}

/// The text that makes a stream of a command in the bucket.
fn stream(target: &Value, prefix: &str, stream: &str) -> String {
    let [command, node] = ["command_id", "target"].map(|field| target[field].as_str().unwrap());
    format!("{prefix}{command}/{node}/awsrunShellScript/0.awsrunShellScript/{stream}")
}

fn the_target(output: &Output) -> Value {
    let targets = output.targets();
    assert_eq!(targets.len(), 1);
    targets.into_values().next().unwrap()
}

#[test]
fn outputs_are_the_same_byte_for_byte() {
    let sim = fleet("");
    let files = sim.path("files");
    let files = files.to_str().unwrap();
    let run =
        ["exec", "-t", "web-1", "--s3", "herder-output/a/b", "--out-dir", files, "--json", "--", "binary"];
    let target = the_target(&sim.run(&run).exits(0));
    assert_eq!((&target["streams"], &target["channel"]), (&"exact".into(), &"s3".into()));
    assert_eq!(target["truncated"], false);
    let file = |extension: &str| std::fs::read(format!("{files}/{}.{extension}", sim.id("web-1"))).unwrap();
    let whole = object(&sim, &stream(&target, "a/b/", "stdout"));
    assert_eq!(whole.len(), 3_000_000);
    assert!(whole.contains(&0) && std::str::from_utf8(&whole).is_err());
    assert!(file("stdout") == whole);
    assert_eq!(file("stderr"), b"half a line");
    // The document has the same text, as far as it is text.
    assert!(target["stdout"] == Value::from(String::from_utf8_lossy(&whole)));

    // It is kept with the run.
    let again = sim.path("again");
    let _ = sim.run(&["runs", "show", "last", "--out-dir", again.to_str().unwrap(), "-o", "quiet"]).exits(0);
    assert!(std::fs::read(again.join(format!("{}.stdout", sim.id("web-1")))).unwrap() == whole);
    let left: Vec<_> =
        std::fs::read_dir(sim.the_run().join("output")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["bodies"], "what was on its way leaves nothing behind");
}

#[test]
fn short_outputs_cost_no_download() {
    let sim = Sim::start("nodes=60,windows=0,hybrid=0,rate=off,duration=quick");
    let run = [
        "exec",
        "-t",
        "all",
        "--yes",
        "-c",
        "100%",
        "--s3",
        "herder-output",
        "--json",
        "--",
        "echo hi; echo no >&2",
    ];
    let targets = sim.run(&run).exits(0).targets();
    assert_eq!(targets.len(), 60);
    for target in targets.values() {
        assert_eq!((&target["stdout"], &target["stderr"]), (&"hi\n".into(), &"no\n".into()));
        assert_eq!((&target["streams"], &target["channel"]), (&"exact".into(), &"s3".into()));
    }
    // One is the look whether objects may be read.
    assert_eq!(sim.calls("GetObject").len(), 1);
    let (lists, reads) = (sim.calls("ListObjectsV2").len(), sim.calls("ListCommandInvocations").len());
    assert!(lists <= reads, "{lists} lists for {reads} reads");
    assert_eq!(sim.calls("GetCommandInvocation").len(), 0);
}

#[test]
fn what_the_service_cuts_the_bucket_has_whole() {
    let sim = fleet("");
    let inline = the_target(&sim.run(&["exec", "-t", "web-1", "--json", "--", "long"]).exits(0));
    assert_eq!((&inline["truncated"], &inline["channel"]), (&true.into(), &"inline".into()));
    assert_eq!(inline["stdout"].as_str().unwrap().len(), 24_000);
    let calls = sim.calls("GetCommandInvocation").len();
    let whole = the_target(
        &sim.run(&["exec", "-t", "web-1", "--s3", "s3://herder-output", "--json", "--", "long"]).exits(0),
    );
    assert_eq!((&whole["truncated"], &whole["streams"]), (&false.into(), &"exact".into()));
    assert_eq!(whole["stdout"].as_str().unwrap().len(), 30_000);
    assert_eq!(sim.calls("GetCommandInvocation").len(), calls, "the bucket tells all");
}

#[test]
fn a_place_that_can_not_be_read_is_told_before_anything_is_sent() {
    let sim = fleet(
        r#"
        [[bucket]]
        name = "closed"
        deny = ["HeadBucket", "ListObjectsV2"]
        [[bucket]]
        name = "unreadable"
        deny = ["GetObject"]
        "#,
    );
    let run = |place: &str| sim.run(&["exec", "-t", "web-1", "--s3", place, "--", "true"]);
    let _ = run("nowhere")
        .exits(3)
        .says("s3:HeadBucket of nowhere failed: not found")
        .says("hint: Check the bucket's name");
    let _ = run("closed/x").exits(4).says("`s3:ListBucket` is not allowed");
    let _ = run("unreadable/x").exits(4).says("`s3:GetObject` is not allowed");
    sim.deny(&["FilterLogEvents"]);
    let logs = ["exec", "-t", "web-1", "--log-group", "ops", "--", "true"];
    let _ = sim.run(&logs).exits(4).says("`logs:FilterLogEvents` is not allowed");
    sim.assert_nothing_sent();
    assert!(sim.runs().is_empty());

    let before = sim.control.requests().len();
    for (flag, wrong) in
        [("--s3", "Not_A_Bucket"), ("--s3", "ab"), ("--s3", "abc//x"), ("--log-group", "a b")]
    {
        let _ = sim
            .run(&["exec", "-t", "web-1", flag, wrong, "--", "true"])
            .exits(2)
            .says(wrong.trim_start_matches("abc/"))
            .silent();
    }
    assert_eq!(sim.control.requests().len(), before);
}

#[test]
fn a_bucket_may_be_in_another_region() {
    let sim = fleet("\n[[bucket]]\nname = \"far\"\nregion = \"eu-west-1\"\n");
    let run = ["exec", "-t", "web-1", "--s3", "far", "--json", "--", "long"];
    assert_eq!(the_target(&sim.run(&run).exits(0))["stdout"].as_str().unwrap().len(), 30_000);
    let regions: Vec<String> = sim.calls("GetObject").into_iter().map(|call| call.region).collect();
    assert_eq!(regions, ["eu-west-1", "eu-west-1"]);
}

#[test]
fn an_output_that_is_late_is_waited_for() {
    // A second and a half.
    let sim = fleet("\n[switches]\nlate_objects = 1500\n");
    let output =
        sim.run(&["exec", "-t", "all", "--yes", "--s3", "herder-output", "--json", "--", "both"]).exits(1);
    for target in output.targets().values() {
        let name = target["name"].as_str().unwrap();
        assert_eq!(
            (&target["channel"], &target["stdout"]),
            (&"s3".into(), &format!("out of {name}\n").into())
        );
        assert_eq!((&target["truncated"], &target["exit_code"]), (&false.into(), &3.into()));
    }
    let _ = output.never_says("did not come");
    // However many wait, one list a second tells all of them.
    assert!(sim.calls("ListObjectsV2").len() <= 12, "{}", sim.calls("ListObjectsV2").len());
}

#[test]
fn a_node_that_may_not_write_costs_its_output_only() {
    let sim = fleet("\n[[node]]\nnodes = \"web-2\"\nno_uploads = true\n");
    let run = ["exec", "-t", "web-*", "--s3", "herder-output/x", "--json", "--", "long"];
    let output = sim.run(&run).exits(0);
    let node = sim.id("web-2");
    let targets = output.targets();
    for (id, target) in &targets {
        let is_whole = *id != node;
        assert_eq!(target["truncated"], !is_whole, "{target}");
        assert_eq!(target["channel"], if is_whole { "s3" } else { "inline" });
        assert_eq!(target["stdout"].as_str().unwrap().len(), if is_whole { 30_000 } else { 24_000 });
    }
    let command = targets[&node]["command_id"].as_str().unwrap();
    let _ = output
        .says(&format!("the output of {node} did not come to s3://herder-output/x/{command}/{node}/"))
        .says("hint: Allow `s3:PutObject` on `arn:aws:s3:::herder-output/x/*`");
}

#[test]
fn a_download_that_is_cut_goes_on() {
    let sim = fleet("");
    let cut = ApiFault { cut_after: Some(1_000_000), times: Some(2), ..ApiFault::default() };
    let apis = [("GetObject".to_owned(), cut)].into();
    sim.control.faults(FaultSpec { apis, ..FaultSpec::default() });
    let files = sim.path("files");
    let run = [
        "exec",
        "-t",
        "web-1",
        "--s3",
        "herder-output",
        "--out-dir",
        files.to_str().unwrap(),
        "--json",
        "--",
        "binary",
    ];
    let target = the_target(&sim.run(&run).exits(0));
    // The look, the first, two that go on, and stderr.
    assert_eq!(sim.calls("GetObject").len(), 1 + 3 + 1);
    let whole = object(&sim, &stream(&target, "", "stdout"));
    assert!(std::fs::read(files.join(format!("{}.stdout", sim.id("web-1")))).unwrap() == whole);
}

#[test]
fn a_bucket_that_is_closed_in_the_middle_costs_outputs_and_no_verdict() {
    let sim = fleet("");
    let hold = sim.hold("ListCommandInvocations", 1, When::Before);
    let running =
        sim.herder(["exec", "-t", "web-1", "--s3", "herder-output", "--json", "--", "long"]).spawn();
    sim.wait_held(hold);
    sim.deny(&["GetObject"]);
    sim.continue_held(hold);
    let output = running.wait().exits(0);
    let target = the_target(&output);
    assert_eq!((&target["verdict"], &target["truncated"]), (&"ok".into(), &true.into()));
    let _ = output
        .says("can't be read, and what the service kept of it is shown")
        .says("`s3:GetObject` is not allowed");
}

#[test]
fn an_outage_of_the_bucket_costs_outputs_and_no_verdict() {
    let sim = Sim::scenario(&FLEET.replace("nodes = 4", "nodes = 12"));
    let hold = sim.hold("ListCommandInvocations", 1, When::Before);
    let run = ["exec", "-t", "all", "--yes", "--s3", "herder-output", "--json", "--", "long"];
    let running = sim.herder(run).spawn();
    sim.wait_held(hold);
    let gone = ApiFault { dropped_before: 1.0, ..ApiFault::default() };
    let apis = ["ListObjectsV2", "GetObject"].map(|api| (api.to_owned(), gone.clone())).into();
    sim.control.faults(FaultSpec { apis, ..FaultSpec::default() });
    sim.continue_held(hold);
    let output = running.wait().exits(0);
    for target in output.targets().values() {
        assert_eq!((&target["verdict"], &target["channel"]), (&"ok".into(), &"inline".into()));
        assert_eq!((&target["truncated"], target["stdout"].as_str().unwrap().len()), (&true.into(), 24_000));
    }
    let count = output.stderr.matches("what the service kept of it is shown").count();
    assert!((1..=3).contains(&count), "{}", output.stderr);
}

#[test]
fn a_run_that_another_process_drives_is_seen_live() {
    let sim = Sim::scenario(TALKERS);
    let mut driver = sim.herder(["exec", "-t", "web-1", "--log-group", "ops", "--", "talk"]).spawn();
    driver.wait_for_stdout("\t");
    let mut watcher = sim.herder(["runs", "attach", "last"]).spawn();
    watcher.wait_for_stdout("\t");
    assert!(driver.is_running());
    let (driven, watched) = (driver.wait().exits(0).text(), watcher.wait().exits(0).text());
    assert_eq!(watched, driven);
}

#[test]
fn a_resume_takes_up_what_was_being_fetched() {
    let sim = fleet("");
    // The first is the look.
    let hold = sim.hold("GetObject", 2, When::After);
    let running = sim.herder(["exec", "-t", "web-1", "--s3", "herder-output/p", "--", "binary"]).spawn();
    sim.wait_held(hold);
    running.kill();
    sim.drop_held(hold);
    let target = the_target(&sim.run(&["runs", "resume", "last", "--json"]).exits(0));
    let whole = object(&sim, &stream(&target, "p/", "stdout"));
    assert!(target["stdout"] == Value::from(String::from_utf8_lossy(&whole)));
    assert_eq!((&target["channel"], &target["stderr"]), (&"s3".into(), &"half a line".into()));
    sim.assert_at_most_once();
    let shown = the_target(&sim.run(&["runs", "show", "last", "--json"]).exits(0));
    assert!(shown == target);
}

#[test]
fn a_resume_that_can_not_read_the_bucket_has_what_the_service_kept() {
    let sim = fleet("");
    let hold = sim.hold("GetObject", 2, When::After);
    let running = sim.herder(["exec", "-t", "web-1", "--s3", "herder-output/p", "--", "long"]).spawn();
    sim.wait_held(hold);
    running.kill();
    sim.drop_held(hold);
    sim.deny(&["ListObjectsV2", "GetObject"]);
    let resumed = sim.run(&["runs", "resume", "last", "--json"]).exits(0).says(
        "outputs in the bucket herder-output can't be read, and what the service keeps of them is shown",
    );
    let target = the_target(&resumed);
    assert_eq!(target["verdict"], "ok");
    assert_eq!(target["stdout"].as_str().map(str::len), Some(24_000));
    sim.assert_at_most_once();
}

/// Two hundred lines over four seconds, to a group that nobody has made.
const TALKERS: &str = r#"
spec = { nodes = 4, windows = 0, speed = 10, rate = "off" }

[[answer]]
command = "talk"
bytes = 12000
duration = "40s"

[[answer]]
command = "shout"
bytes = 90000
duration = "20s"
"#;

#[test]
fn outputs_are_shown_while_they_are_written() {
    let sim = Sim::scenario(TALKERS);
    let run = ["exec", "-t", "web-1", "--log-group", "/ops/herder", "--jsonl", "--", "talk"];
    let events = sim.run(&run).exits(0).events();
    let place = |kind: &str| events.iter().position(|event| event["type"] == kind).unwrap();
    let pieces: Vec<&Value> = events.iter().filter(|event| event["type"] == "output").collect();
    assert!(pieces.len() >= 2, "{} pieces", pieces.len());
    let last = events.iter().rposition(|event| event["type"] == "output").unwrap();
    assert!(last < place("target_finished"));
    let live: String = pieces.iter().map(|piece| piece["text"].as_str().unwrap()).collect();
    let finished = &events[place("target_finished")];
    let whole = finished["stdout"].as_str().unwrap();
    assert_eq!(whole.len(), 12_000);
    // Lines are whole, also the last of an output that ends without one.
    let begin = live.strip_suffix('\n').unwrap();
    assert!(whole.starts_with(begin), "what is live is how it begins");
    assert_eq!(pieces[0]["target"], sim.id("web-1"));
    assert_eq!((&pieces[0]["stream"], &pieces[0]["name"]), (&"stdout".into(), &"web-1".into()));
}

#[test]
fn every_line_is_shown_once_in_a_pipe() {
    let sim = Sim::scenario(TALKERS);
    let mut running = sim.herder(["exec", "-t", "web-*", "--log-group", "ops", "--", "talk"]).spawn();
    running.wait_for_stdout("\t");
    assert!(running.is_running(), "the first line comes before the end");
    let text = running.wait().exits(0).never_says("what was shown so far").text();
    let shown = sim.run(&["runs", "show", "last", "--json"]).exits(0);
    for (id, target) in shown.targets() {
        let expected: Vec<&str> = target["stdout"].as_str().unwrap().lines().collect();
        let lines: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix(id.as_str())?.strip_prefix('\t')).collect();
        assert_eq!(lines, expected, "{id}");
    }
    // A replay shows the same.
    let replayed = sim.run(&["runs", "show", "last"]).exits(0).text();
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&replayed), sorted(&text));
}

#[test]
fn the_log_group_has_what_the_service_cuts() {
    let sim = Sim::scenario(TALKERS);
    let run = ["exec", "-t", "web-1", "--log-group", "ops", "--json", "--", "shout"];
    let target = the_target(&sim.run(&run).exits(0));
    assert_eq!((&target["channel"], &target["truncated"]), (&"logs".into(), &false.into()));
    let whole = target["stdout"].as_str().unwrap();
    // The last line had no end.
    assert_eq!((whole.len(), whole.ends_with('\n')), (90_001, true));

    // With both, the bucket has the last word.
    let run = ["exec", "-t", "web-1", "--log-group", "ops", "--s3", "herder-output", "--json", "--", "shout"];
    let target = the_target(&sim.run(&run).exits(0));
    assert_eq!(target["channel"], "s3");
    let whole = String::from_utf8(object(&sim, &stream(&target, "", "stdout"))).unwrap();
    assert!(target["stdout"] == whole);
    assert_eq!(target["stdout"].as_str().unwrap().len(), 90_000);
}

/// The most memory that it ever had, while it ran.
fn peak_mib(sim: &Sim, running: &mut crate::harness::Running<'_>) -> u64 {
    let status = format!("/proc/{}/status", running.pid());
    let mut peak = 0;
    sim.wait_until("it ends", || {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib: Option<u64> = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
        peak = peak.max(kib.unwrap_or(0) / 1024);
        !running.is_running()
    });
    peak
}

#[test]
fn a_hundred_megabytes_stay_out_of_memory() {
    let sim = Sim::scenario(
        r#"
        spec = { nodes = 4, windows = 0, speed = 1000, rate = "off", duration = "quick" }
        [[answer]]
        command = "flood"
        bytes = 100000000
        binary = true
        "#,
    );
    let files = sim.path("files");
    let run =
        ["exec", "-t", "web-1", "--s3", "herder-output", "--out-dir", files.to_str().unwrap(), "--", "flood"];
    let mut running = sim.herder(run).spawn();
    let peak = peak_mib(&sim, &mut running);
    let _ = running.wait().exits(0);
    assert!((1..96).contains(&peak), "{peak} MiB");
    let length = std::fs::metadata(files.join(format!("{}.stdout", sim.id("web-1")))).unwrap().len();
    assert_eq!(length, 100_000_000);
}
