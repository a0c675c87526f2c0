//! `herder session cp`: files to and from a node, checked, resumed, and what can't be copied.

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

#[test]
fn what_can_not_be_copied_is_told() {
    let sim = sim("nodes=6,windows=1");
    sim.file("f", "x");
    std::fs::create_dir(sim.path("d")).unwrap();
    let windows = sim.ids(Some("Windows")).remove(0);
    let cp = |words: &[&str]| sim.run(&[&["session", "cp"], words].concat());
    let _ = cp(&["f", &format!("{windows}:/f")]).exits(2).says("Windows");
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
