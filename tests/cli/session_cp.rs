//! `herder session cp`: files to and from a node, checked, resumed, and what can't be copied.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use herder_sim::SessionAct;

use crate::harness::Sim;

fn sim(spec: &str) -> Sim {
    Sim::start(&format!("speed=1,hybrid=0,{spec}"))
}

fn content(bytes: u32) -> Vec<u8> {
    (0..bytes).map(|n| (n.wrapping_mul(2_654_435_761) >> 11) as u8).collect()
}

#[test]
fn files_and_trees_arrive_byte_for_byte() {
    let sim = sim("nodes=5,windows=0");
    let large = content(700_000);
    sim.file("large", &large);
    let _ = sim.run(&["session", "cp", "large", "web-1:/tmp/"]).exits(0).silent();
    let _ = sim.run(&["session", "cp", "web-1:/tmp/large", "back"]).exits(0).silent();
    assert!(std::fs::read(sim.path("back")).unwrap() == large);
    let streamed = sim.run(&["session", "cp", "name:web-1:/tmp/large", "-"]).exits(0);
    assert!(streamed.stdout == large);
    let _ = sim.herder(["session", "cp", "-", "web-1:/tmp/piped"]).stdin(large.clone()).run().exits(0);
    let _ = sim.run(&["session", "exec", "web-1", "--", "cmp /tmp/large /tmp/piped"]).exits(0);
    for (name, text) in [("tree/a", "one"), ("tree/b c/d", ""), ("tree/b c/-e", "two\n")] {
        std::fs::create_dir_all(sim.path(name).parent().unwrap()).unwrap();
        sim.file(name, text);
    }
    let _ = sim.run(&["session", "cp", "-r", "tree", "web-1:/tmp/tree"]).exits(0);
    let _ = sim.run(&["session", "cp", "-r", "web-1:/tmp/tree", "again"]).exits(0);
    assert_eq!(std::fs::read(sim.path("again/b c/-e")).unwrap(), b"two\n");
    assert_eq!(std::fs::read(sim.path("again/b c/d")).unwrap(), b"");
    sim.wait_until("no session is left", || {
        sim.control.sessions().iter().all(|session| session.status == "Terminated")
    });
}

#[test]
fn a_copy_survives_a_close_and_goes_on_after_a_kill() {
    let sim = sim("nodes=5,windows=0,session_paced=true");
    let large = content(4_000_000);
    sim.file("large", &large);
    let running = sim.herder(["session", "cp", "large", "web-1:/tmp/large"]).spawn();
    sim.wait_until("bytes are there", || {
        sim.control.sessions().last().is_some_and(|session| session.input_bytes > 300_000)
    });
    let id = sim.control.sessions()[0].id.clone();
    assert!(sim.control.act(&id, SessionAct::Bye));
    let _ = running.wait().exits(0);
    let sum = sim.run(&["session", "exec", "web-1", "--", "wc -c < /tmp/large"]).exits(0);
    assert_eq!(sum.text().trim(), "4000000");
    let running = sim.herder(["session", "cp", "web-1:/tmp/large", "back"]).spawn();
    sim.wait_until("a part is here", || {
        let parts = std::fs::read_dir(sim.path(".")).unwrap().flatten();
        parts
            .filter(|part| part.file_name().to_string_lossy().contains("herder-part"))
            .any(|part| part.metadata().is_ok_and(|metadata| metadata.len() > 100_000))
    });
    running.kill();
    assert!(!sim.path("back").exists(), "a file is there when it is whole");
    let before = sim.control.sessions().len();
    let _ = sim.run(&["session", "cp", "web-1:/tmp/large", "back"]).exits(0);
    assert!(std::fs::read(sim.path("back")).unwrap() == large);
    let second = &sim.control.sessions()[before];
    assert!(second.output_bytes < 5_300_000, "it went on where it was: {} bytes", second.output_bytes);
}

/// As `<(pg_dump shop)` is one.
#[test]
fn pipes_and_files_without_a_size_arrive_whole() {
    let sim = sim("nodes=5,windows=0");
    let node = sim.id("web-1");
    let dump = content(1_500_000);
    sim.file("dump", &dump);
    sim.file("old", "old");
    for _ in 0..2 {
        let _ = sim.run(&["session", "cp", "old", "web-1:/tmp/x"]).exits(0);
        let piped = sim.herder(["session", "cp", "pipe", "web-1:/tmp/x"]);
        let _ = piped.by_shell("rm -f pipe; mkfifo pipe; cat dump >pipe & \"$@\"").run().exits(0);
        assert!(sim.control.file(&node, "/tmp/x").unwrap() == dump, "all of it");
    }
    let version = std::fs::read("/proc/version").unwrap();
    let _ = sim.run(&["session", "cp", "/proc/version", "web-1:/tmp/x"]).exits(0);
    assert_eq!(sim.control.file(&node, "/tmp/x").unwrap(), version);
    // Somebody has to begin to write: until then there is no session, and it can be called off.
    let (before, looked) = (sim.control.sessions().len(), sim.calls("DescribeInstances").len());
    let waiting = sim.herder(["session", "cp", "pipe", "web-1:/tmp/x"]).spawn();
    waiting.wait_until_it_listens();
    sim.wait_until("it looks for the node", || sim.calls("DescribeInstances").len() > looked);
    waiting.signal("INT");
    let _ = waiting.wait().exits(130);
    assert_eq!(sim.control.sessions().len(), before);
    assert_eq!(sim.control.file(&node, "/tmp/x").unwrap(), version);
    // And the other way: what is no file is written to, and stays what it is.
    let reading = sim.herder(["session", "cp", "web-1:/tmp/x", "pipe"]);
    let _ = reading.by_shell("cat pipe >read & \"$@\" && wait").run().exits(0);
    assert_eq!(std::fs::read(sim.path("read")).unwrap(), version);
    assert!(!std::fs::metadata(sim.path("pipe")).unwrap().is_file());
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().mode() & 0o777
}

#[test]
fn directories_that_can_not_be_looked_into_are_told() {
    let sim = sim("nodes=5,windows=0");
    let make = "mkdir -p /tmp/tree/open /tmp/tree/audit; echo x >/tmp/tree/open/f; echo y >/tmp/tree/audit/g; chmod 0 /tmp/tree/audit";
    let _ = sim.run(&["session", "exec", "web-1", "--", make]).exits(0);
    let output = sim.run(&["session", "cp", "-r", "web-1:/tmp/tree", "logs"]).exits(1);
    let _ = output.says("warning: /tmp/tree/audit is left out: permission denied");
    assert_eq!(std::fs::read(sim.path("logs/open/f")).unwrap(), b"x\n");
    let _ =
        sim.run(&["session", "cp", "-r", "web-1:/tmp/tree/audit", "logs"]).exits(1).says("could not list");
    let words = ["session", "cp", "-r", ":/tmp/tree", "many", "-t", "web-1", "--yes", "--json"];
    let targets = sim.run(&words).exits(1).targets();
    assert_eq!(targets[&sim.id("web-1")]["reason"], "left_out");
}

#[test]
fn what_is_here_already_keeps_its_permissions_to_itself() {
    let sim = sim("nodes=5,windows=0");
    let make = "mkdir -p /tmp/tree/new; chmod 755 /tmp/tree /tmp/tree/new; echo x >/tmp/tree/new/f";
    let _ = sim.run(&["session", "exec", "web-1", "--", make]).exits(0);
    let set = |name: &str, mode| {
        std::fs::set_permissions(sim.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    std::fs::create_dir(sim.path("private")).unwrap();
    set("private", 0o700);
    let _ = sim.run(&["session", "cp", "-r", "web-1:/tmp/tree/.", "private"]).exits(0);
    assert_eq!((mode(&sim.path("private")), mode(&sim.path("private/new"))), (0o700, 0o755));
    let _ = sim.run(&["session", "cp", "-rp", "web-1:/tmp/tree/.", "private"]).exits(0);
    assert_eq!(mode(&sim.path("private")), 0o755, "if asked to");
    // Whoever made a part could read along.
    sim.file(".f.herder-part", "spy");
    set(".f.herder-part", 0o666);
    let spy = std::fs::File::open(sim.path(".f.herder-part")).unwrap();
    let _ = sim.run(&["session", "cp", "web-1:/tmp/tree/new/f", "f"]).exits(0);
    assert_ne!(spy.metadata().unwrap().ino(), std::fs::metadata(sim.path("f")).unwrap().ino());
    assert_eq!(std::fs::read(sim.path("f")).unwrap(), b"x\n");
    let plant = "sudo sh -c 'echo spy >/tmp/.f.herder-part'";
    let _ = sim.run(&["session", "exec", "web-1", "--", plant]).exits(0);
    let refused = sim.run(&["session", "cp", "f", "web-1:/tmp/"]).exits(1);
    let _ = refused.says("/tmp/.f.herder-part is in the way, and can not be removed");
    assert_eq!(sim.control.file(&sim.id("web-1"), "/tmp/.f.herder-part").unwrap(), b"spy\n");
}

#[test]
fn a_full_disk_is_told_in_the_middle_of_a_tree() {
    let sim = sim("nodes=5,windows=0,disk=2MB");
    std::fs::create_dir(sim.path("tree")).unwrap();
    for n in 0..40 {
        sim.file(&format!("tree/{n}"), content(100_000));
    }
    let output = sim.run(&["session", "cp", "-r", "tree", "web-1:/tmp/tree"]).exits(1);
    let _ = output.says("no space left on its file system").never_says("broke off");
    let words = ["session", "cp", "-r", "tree", ":/tmp/tree", "-t", "web-2", "--yes", "--json"];
    let targets = sim.run(&words).targets();
    let target = &targets[&sim.id("web-2")];
    assert_eq!((&target["verdict"], &target["reason"]), (&"failed".into(), &"no_space".into()));
    // What is there of it would only take the room.
    sim.file("large", content(3_000_000));
    let _ = sim.run(&["session", "cp", "large", "web-2:/var/tmp/"]).exits(1).says("no space left");
    let left = sim.run(&["session", "exec", "web-2", "--", "ls -A /var/tmp | grep -c large"]).exits(1);
    assert_eq!(left.text(), "0\n");
}

#[test]
fn a_tree_goes_on_with_the_file_that_it_broke_off_at() {
    let sim = sim("nodes=5,windows=0,session_paced=true");
    std::fs::create_dir(sim.path("tree")).unwrap();
    let large = content(3_000_000);
    sim.file("tree/a", &large);
    sim.file("tree/b", "small");
    let _ = sim.run(&["session", "cp", "-r", "tree", "web-1:/tmp/tree"]).exits(0);
    let running = sim.herder(["session", "cp", "-r", "web-1:/tmp/tree", "mine"]).spawn();
    let part = sim.path("mine/.a.herder-part");
    sim.wait_until("a part is here", || {
        std::fs::metadata(&part).is_ok_and(|metadata| metadata.len() > 1_000_000)
    });
    running.kill();
    let _ = sim.run(&["session", "cp", "-r", "web-1:/tmp/tree", "mine"]).exits(0);
    let last = sim.control.sessions().pop().unwrap();
    assert!(last.output_bytes < 3_000_000, "it went on where it was: {} bytes", last.output_bytes);
    assert!(std::fs::read(sim.path("mine/a")).unwrap() == large);
    let mut names: Vec<_> =
        std::fs::read_dir(sim.path("mine")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["a", "b"], "it is where it was, and nothing is left");
}

#[test]
fn what_can_not_be_copied_is_told() {
    let sim = sim("nodes=6,windows=1");
    sim.file("f", "x");
    std::fs::create_dir(sim.path("d")).unwrap();
    let windows = sim.ids(Some("Windows")).remove(0);
    let cp = |words: &[&str]| sim.run(&[&["session", "cp"], words].concat());
    let _ = cp(&["f", &format!("{windows}:/f")]).exits(2).says("Windows");
    let _ = cp(&["f", ":/f", "-t", "platform:windows"]).exits(2).says("these nodes are all Windows nodes");
    assert!(sim.run(&["runs", "list", "--json"]).exits(0).json().as_array().unwrap().is_empty());
    let linux = sim.ids(Some("Linux")).remove(0);
    let at = |path: &str| format!("{linux}:{path}");
    let _ = cp(&["f", "g"]).exits(2).says("neither side");
    let _ = cp(&[&at("/a"), &at("/b")]).exits(2).says("not between two nodes");
    let _ = cp(&["d", &at("/tmp/d")]).exits(2).says("Copy directories with -r");
    let _ = cp(&["-r", "-", &at("/tmp/d")]).exits(2);
    let _ = cp(&["nope", &at("/tmp/")]).exits(3).says("could not read `nope`");
    let _ = cp(&[&at("/nope"), "."]).exits(3).says("no such file or directory").silent();
    let _ = cp(&["f", &at("/nope/f")]).exits(3);
    let _ = cp(&["f", "nobody:/tmp/"]).exits(3).says("no node matches `nobody`");
    sim.deny(&["StartSession"]);
    let _ = cp(&["f", &at("/tmp/")]).exits(4).says("ssm:StartSession");
}

#[test]
fn a_full_disk_here_is_a_failure_and_no_usage_error() {
    let sim = Sim::start("nodes=5,windows=0");
    let copy =
        sim.herder(["session", "cp", "web-1:/etc/hosts", "-"]).by_shell("exec \"$@\" >/dev/full").run();
    let copy = copy.exits(1).says("could not write standard output").says("No space left on device");
    let _ = copy.never_says("something was changed");
    let gone = sim.herder(["session", "cp", "web-1:/etc/hosts", "-"]).closed_stdout().run().exits(1);
    let _ = gone.says("could not write standard output").never_says("something was changed");
    assert!(sim.control.sessions().iter().all(|session| session.status == "Terminated"));
}
