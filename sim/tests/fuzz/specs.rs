//! Specs and scenarios: read or refused; a simulation of one that was read answers.

use std::path::Path;
use std::time::Duration;

use herder_sim::{ServeOptions, Spec, serve};
use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;

use crate::client::{panics, read, talk};
use crate::mutate::mutate;
use crate::requests::request;
use crate::rounds::{made, rounds};
use crate::values::{Kind, Known};

const VALUES: [&str; 52] = [
    "",
    "0",
    "1",
    "20",
    "-1",
    "1.5",
    "5%",
    "100%",
    "0.05",
    "NaN",
    "inf",
    "1e308",
    "1e-308",
    "100001",
    "4294967295",
    "18446744073709551615",
    "off",
    "on",
    "true",
    "false",
    "quick",
    "fleet",
    "2s",
    "20ms",
    "1h",
    "-90s",
    "99999999999999999999h",
    "us-east-1",
    "us-east-1+eu-west-1",
    "eu-west-1/5s/10s",
    "eu-west-1@5s",
    "eu-west-1@5s..10s",
    "123456789012",
    "123456789012+222222222222",
    "HerderExec+ops",
    "SendCommand",
    "dropped",
    "unavailable",
    "herder-output",
    "alias/sessions",
    "i-0123456789abcdef0",
    "80=echo",
    "22=ssh+80=http",
    "never",
    "nothing",
    "everything",
    "waits",
    "stops",
    "any",
    "4MB",
    "Grüße",
    "\u{1f600}",
];

fn spec(rng: &mut SmallRng, keys: &[&str]) -> String {
    let part = |rng: &mut SmallRng| match rng.random_range(0..12) {
        0 => VALUES.choose(rng).unwrap().to_string(),
        1 => keys.choose(rng).unwrap().to_string(),
        2 => format!("{}=", keys.choose(rng).unwrap()),
        3 => format!("@{}", VALUES.choose(rng).unwrap()),
        _ => format!("{}={}", keys.choose(rng).unwrap(), VALUES.choose(rng).unwrap()),
    };
    let count = rng.random_range(0..5);
    let parts: Vec<String> = (0..count).map(|_| part(rng)).collect();
    spoiled(rng, parts.join(","))
}

fn spoiled(rng: &mut SmallRng, text: String) -> String {
    if rng.random_bool(0.3) {
        let mut bytes = text.into_bytes();
        mutate(rng, &mut bytes, 3);
        return String::from_utf8_lossy(&bytes).into_owned();
    }
    text
}

/// What is small enough to be asked thousands of times, and never waits on purpose.
fn is_small(spec: &Spec) -> bool {
    let accounts = spec.scenario.iter().flat_map(|scenario| &scenario.accounts);
    let nodes = accounts.filter_map(|account| account.nodes).fold(spec.nodes, u32::max);
    let agents = spec.session.agents.len();
    nodes <= 50
        && spec.stopped.max(spec.unmanaged) <= 50
        && spec.regions.len() < 5
        && agents < 5
        && spec.switches.foreign_commands <= 50
}

/// Starts a simulation, and asks it a few things.
fn try_out(rng: &mut SmallRng, runtime: &tokio::runtime::Runtime, mut spec: Spec) {
    spec.log = None;
    spec.latency = Duration::ZERO;
    runtime.block_on(async {
        let shown = format!("{spec:?}");
        let server = serve(spec, ServeOptions::default()).await.unwrap();
        let mut known = Known::default();
        server.control().nodes().iter().take(3).for_each(|node| known.add(Kind::Node, &node.id));
        for _ in 0..20 {
            let request = request(rng, &known);
            let answer = talk(&server, &request.bytes(server.access_key(), false), request.is_upgrade).await;
            assert_eq!(panics(), [""; 0], "{shown}");
            if let Some(answer) =
                read(&answer, request.is_head()).unwrap_or_else(|why| panic!("{why}: {shown}"))
            {
                known.learn(&answer.body);
            }
        }
        let _truth = server.control().truth();
        server.shutdown().await;
        assert_eq!(panics(), [""; 0], "{shown}");
    });
}

fn judge(rng: &mut SmallRng, runtime: &tokio::runtime::Runtime, read: Result<Spec, herder_sim::SpecError>) {
    made();
    match read {
        Ok(spec) if rng.random_bool(0.02) && is_small(&spec) => try_out(rng, runtime, spec),
        Ok(_) => {}
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

#[test]
fn specs() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let keys = Spec::keys();
    panics();
    rounds("specs", |rng| {
        for _ in 0..200 {
            let text = spec(rng, &keys);
            let read = Spec::read(&text, Path::new("/nowhere"));
            judge(rng, &runtime, read);
        }
    });
}

#[test]
fn scenarios() {
    const SHIPPED: [&str; 5] = [
        include_str!("../../scenarios/game-day.toml"),
        include_str!("../../scenarios/mixed.toml"),
        include_str!("../../scenarios/rollout.toml"),
        include_str!("../../scenarios/shop.toml"),
        // One of everything.
        include_str!("../../src/scenario/scenario.md"),
    ];
    const SWITCHES: [&str; 6] = [
        "properties_page",
        "tag_values",
        "foreign_commands",
        "parameters_limit",
        "late_objects",
        "hidden_commands",
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    panics();
    rounds("scenarios", |rng| {
        for _ in 0..50 {
            let text = SHIPPED.choose(rng).unwrap().trim_start_matches("```toml\n");
            let mut text = text.split("\n```").next().unwrap_or_default().as_bytes().to_vec();
            mutate(rng, &mut text, 3);
            if rng.random_bool(0.5) {
                let values: Vec<usize> = (0..text.len()).filter(|n| text[*n] == b'=').collect();
                if let Some(at) = values.choose(rng) {
                    let end =
                        text[*at..].iter().position(|byte| *byte == b'\n').map_or(text.len(), |n| at + n);
                    let value = VALUES.choose(rng).unwrap();
                    let value = if rng.random() { format!(" \"{value}\"") } else { format!(" {value}") };
                    text.splice(at + 1..end, value.bytes());
                }
            }
            if rng.random_bool(0.3) {
                let line = format!(
                    "\n[switches]\n{} = {}\n",
                    SWITCHES.choose(rng).unwrap(),
                    VALUES.choose(rng).unwrap()
                );
                text.extend(line.bytes());
            }
            let read = Spec::scenario(&String::from_utf8_lossy(&text), Path::new("x.toml"));
            judge(rng, &runtime, read);
        }
    });
}
