//! Requests that were right once: every one is answered, or its connection closed, and the server lives on.

use herder_sim::{ServeOptions, Server, Spec, serve};
use rand::Rng;
use rand::rngs::SmallRng;

use crate::client::{panics, read, talk};
use crate::mutate::mutate;
use crate::requests::{Request, good, request};
use crate::rounds::{made, rounds};
use crate::values::{Kind, Known};

const REQUESTS: u32 = 100;

fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    format!("{:?}", text.chars().take(3000).collect::<String>())
}

/// Asks, and learns from the answer.
async fn ask(server: &Server, known: &mut Known, (request, bytes): (&Request, &[u8]), is_mutated: bool) {
    made();
    let answer = talk(server, bytes, is_mutated).await;
    assert_eq!(panics(), [""; 0], "{}", shown(bytes));
    match read(&answer, request.is_head() || is_mutated) {
        Ok(Some(answer)) => known.learn(&answer.body),
        Ok(None) => assert!(is_mutated, "no answer to {}", shown(bytes)),
        Err(why) => panic!("{why}: {} to {}", shown(&answer), shown(bytes)),
    }
}

/// One simulation, and what it is asked until it ends.
async fn simulation(rng: &mut SmallRng, spec: Spec, most: usize) {
    let server = serve(spec, ServeOptions::default()).await.unwrap();
    let key = server.access_key().to_owned();
    let mut known = Known::default();
    let nodes = server.control().nodes();
    let hybrid = nodes.iter().filter(|node| node.id.starts_with("mi-"));
    nodes.iter().take(3).chain(hybrid.take(1)).for_each(|node| known.add(Kind::Node, &node.id));
    for _ in 0..REQUESTS {
        let mut request = request(rng, &known);
        if most > 0 && rng.random_bool(0.5) {
            mutate(rng, &mut request.body, most);
        }
        let mut bytes = request.bytes(&key, rng.random_bool(0.1));
        let is_mutated = most > 0 && rng.random_bool(0.3);
        if is_mutated {
            mutate(rng, &mut bytes, most);
        }
        let is_mutated = is_mutated || request.is_upgrade;
        ask(&server, &mut known, (&request, &bytes), is_mutated).await;
    }
    let good = talk(&server, &good().bytes(&key, false), false).await;
    assert_eq!(read(&good, false).unwrap().unwrap().status, 200);
    server.shutdown().await;
}

fn simulations(name: &str, most: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    panics();
    rounds(name, |rng| {
        let spec = [
            "20,rate=off,speed=1000",
            "30,rate=off,hybrid=3,stopped=2,unmanaged=2,session_kms=alias/sessions",
            "5,rate=off,regions=us-east-1+eu-west-1,session_signed,bytes=5000",
        ];
        let spec = spec[rng.random_range(0..spec.len())].parse().unwrap();
        runtime.block_on(simulation(rng, spec, most));
    });
}

/// Values that no client sends, in requests whose form is right: each has an answer.
#[test]
fn odd_requests() {
    simulations("odd requests", 0);
}

/// Bytes that no client sends.
#[test]
fn broken_requests() {
    simulations("broken requests", 4);
}
