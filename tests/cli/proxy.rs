//! Through an HTTP proxy, to a service whose certificate only a bundle of one's own vouches for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{Herder, Sim};

const EXEC: [&str; 6] = ["exec", "-t", "web-1", "--json", "--", "hostname"];

/// A proxy that knows `CONNECT` and nothing else.
struct Proxy {
    url: String,
    tunnels: Arc<AtomicUsize>,
}

impl Proxy {
    fn start(sim: &Sim) -> Proxy {
        let listener = sim.runtime().block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let tunnels: Arc<AtomicUsize> = Arc::default();
        let count = Arc::clone(&tunnels);
        sim.runtime().spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(tunnel(client, Arc::clone(&count)));
            }
        });
        Proxy { url, tunnels }
    }

    fn tunnels(&self) -> usize {
        self.tunnels.load(Ordering::Relaxed)
    }
}

async fn tunnel(mut client: TcpStream, count: Arc<AtomicUsize>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = client.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut words = head.split(' ');
    let (method, address) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if method != "CONNECT" {
        let _ = client.write_all(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n").await;
        return;
    }
    let Ok(mut server) = TcpStream::connect(address).await else { return };
    count.fetch_add(1, Ordering::Relaxed);
    if client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.is_ok() {
        // Whoever closes first ends it.
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    }
}

fn trusting<'a>(sim: &'a Sim, herder: Herder<'a>) -> Herder<'a> {
    herder.env("AWS_CA_BUNDLE", sim.ca_file())
}

#[test]
fn a_proxy_and_a_certificate_of_ones_own() {
    let sim = Sim::tls("3,windows=0,speed=1000");
    let proxy = Proxy::start(&sim);
    let herder = trusting(&sim, sim.herder(EXEC)).env("HTTPS_PROXY", &proxy.url);
    let output = herder.run().exits(0);
    assert_eq!(output.verdicts().len(), 1);
    assert!(proxy.tunnels() > 0);
    sim.assert_true(&output.verdicts());
}

#[test]
fn addresses_that_need_no_proxy() {
    let sim = Sim::tls("3,windows=0,speed=1000");
    let proxy = Proxy::start(&sim);
    let herder = trusting(&sim, sim.herder(EXEC)).env("HTTPS_PROXY", &proxy.url).env("NO_PROXY", "127.0.0.1");
    let _ = herder.run().exits(0);
    assert_eq!(proxy.tunnels(), 0);
}

#[test]
fn a_certificate_that_nobody_vouches_for() {
    let sim = Sim::tls("3,speed=1000");
    let output = sim.herder(EXEC).run().exits(1).says("certificate").says("AWS_CA_BUNDLE");
    assert_eq!(output.json()["error"]["changed"], false);
    assert!(sim.control.requests().is_empty());
}

#[test]
fn a_bundle_that_is_none() {
    let sim = Sim::tls("3,speed=1000");
    let nowhere = sim.path("nowhere.pem");
    let herder = sim.herder(EXEC).env("AWS_CA_BUNDLE", &nowhere);
    let _ = herder.run().exits(2).says("nowhere.pem");
    let nonsense = sim.file("nonsense.pem", "no certificate\n");
    let _ = sim.herder(EXEC).env("AWS_CA_BUNDLE", nonsense).run().exits(2).says("nonsense.pem");
    assert!(sim.control.requests().is_empty());
}

#[test]
fn a_proxy_that_is_not_there() {
    let sim = Sim::tls("3,speed=1000");
    let herder = trusting(&sim, sim.herder(EXEC)).env("HTTPS_PROXY", "http://127.0.0.1:9");
    let output = herder.run().exits(1).says("AWS can't be reached").says("HTTPS_PROXY");
    assert_eq!(output.json()["error"]["changed"], false);
}

#[test]
fn a_proxy_that_is_no_address() {
    let sim = Sim::tls("3,speed=1000");
    let herder = trusting(&sim, sim.herder(EXEC)).env("HTTPS_PROXY", "::: no");
    let _ = herder.run().exits(2).says("HTTPS_PROXY");
}
