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

/// What a proxy does when it is asked for a tunnel.
#[derive(Clone, Copy)]
enum Answer {
    Tunnel,
    /// A tunnel for whoever gives these words in `Proxy-Authorization`, 407 for others.
    TunnelFor(&'static str),
    /// This status line.
    Refuse(&'static str),
}

impl Proxy {
    fn start(sim: &Sim) -> Proxy {
        Proxy::that(sim, Answer::Tunnel)
    }

    fn that(sim: &Sim, answer: Answer) -> Proxy {
        let listener = sim.runtime().block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let tunnels: Arc<AtomicUsize> = Arc::default();
        let count = Arc::clone(&tunnels);
        sim.runtime().spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(tunnel(client, answer, Arc::clone(&count)));
            }
        });
        Proxy { url, tunnels }
    }

    fn tunnels(&self) -> usize {
        self.tunnels.load(Ordering::Relaxed)
    }
}

async fn tunnel(mut client: TcpStream, answer: Answer, count: Arc<AtomicUsize>) {
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
    let refusal = match answer {
        Answer::Tunnel => None,
        Answer::TunnelFor(login) => {
            let given = head.lines().find_map(|line| line.strip_prefix("Proxy-Authorization: "));
            (given != Some(login)).then_some("407 Proxy Authentication Required")
        }
        Answer::Refuse(status) => Some(status),
    };
    if let Some(status) = refusal {
        let text = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        let _ = client.write_all(text.as_bytes()).await;
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
    let output = herder.run().exits(1).says("can't be reached").says("HTTPS_PROXY");
    assert_eq!(output.json()["error"]["changed"], false);
}

#[test]
fn a_proxy_that_is_no_address() {
    let sim = Sim::tls("3,speed=1000");
    let herder = trusting(&sim, sim.herder(EXEC)).env("HTTPS_PROXY", "::: no");
    let _ = herder.run().exits(2).says("HTTPS_PROXY");
}

const SESSION: [&str; 5] = ["session", "exec", "web-1", "--", "echo through"];

/// AWS's calls go directly, only the session's own connection through the proxy.
fn session_through<'a>(sim: &'a Sim, url: &str, words: &[&str]) -> Herder<'a> {
    let messages = sim.endpoint().replace("127.0.0.1", "localhost");
    trusting(sim, sim.herder(words))
        .env("HTTPS_PROXY", url)
        .env("NO_PROXY", "127.0.0.1")
        .env("AWS_ENDPOINT_URL_SSMMESSAGES", messages)
}

#[test]
fn sessions_go_through_the_proxy_too() {
    let sim = Sim::tls("3,windows=0,speed=1,session_signed=true");
    let proxy = Proxy::start(&sim);
    let output = session_through(&sim, &proxy.url, &SESSION).run().exits(0);
    assert_eq!(output.text(), "through\n");
    assert_eq!(proxy.tunnels(), 1, "the session's, and nothing else");
    // Calls and sessions both.
    let herder = trusting(&sim, sim.herder(SESSION)).env("HTTPS_PROXY", &proxy.url);
    assert_eq!(herder.run().exits(0).text(), "through\n");
    let both = proxy.tunnels();
    assert!(both > 2, "{both}");
    let herder = trusting(&sim, sim.herder(SESSION)).env("HTTPS_PROXY", &proxy.url).env("NO_PROXY", "*");
    assert_eq!(herder.run().exits(0).text(), "through\n");
    assert_eq!(proxy.tunnels(), both);
    sim.file("f", "through a proxy");
    let _ = session_through(&sim, &proxy.url, &["session", "cp", "f", "web-1:/tmp/f"]).run().exits(0);
    assert_eq!(sim.control.file(&sim.id("web-1"), "/tmp/f").unwrap(), b"through a proxy");
}

#[test]
fn a_proxy_that_wants_a_login_gets_it_from_both() {
    let sim = Sim::tls("3,windows=0,speed=1");
    // herder:it's@me
    let proxy = Proxy::that(&sim, Answer::TunnelFor("Basic aGVyZGVyOml0J3NAbWU="));
    let with_login = proxy.url.replace("http://", "http://herder:it's%40me@");
    let herder = trusting(&sim, sim.herder(SESSION)).env("HTTPS_PROXY", &with_login);
    assert_eq!(herder.run().exits(0).text(), "through\n");
    let refused = session_through(&sim, &proxy.url, &SESSION).run().exits(255).silent();
    let refused = refused.says("does not connect: HTTP/1.1 407 Proxy Authentication Required");
    let _ = refused.says("hint: Give the proxy its user and password").says("no connection yet");
    let wrong = proxy.url.replace("http://", "http://herder:secret-of-mine@");
    let _ = session_through(&sim, &wrong, &SESSION).run().exits(255).never_says("secret-of-mine");
    let calls = trusting(&sim, sim.herder(SESSION)).env("HTTPS_PROXY", &wrong).run().exits(255);
    let calls = calls.says("proxy authorization required").never_says("secret-of-mine");
    let _ = calls.says("hint: Give the proxy its user and password, the right ones");
}

#[test]
fn a_proxy_that_makes_no_tunnel_is_told_of() {
    let sim = Sim::tls("3,windows=0,speed=1");
    let proxy = Proxy::that(&sim, Answer::Refuse("502 Bad Gateway"));
    let refused = session_through(&sim, &proxy.url, &SESSION).run().exits(255).silent();
    let refused = refused.says("does not connect: HTTP/1.1 502 Bad Gateway");
    let _ = refused.says("hint: Let the proxy allow CONNECT");
    let gone = session_through(&sim, "http://127.0.0.1:9", &SESSION).run().exits(255).silent();
    let _ = gone.says("could not talk to 127.0.0.1:9").says("HTTPS_PROXY");
}

#[test]
fn a_session_trusts_whom_the_bundle_vouches_for() {
    let sim = Sim::tls("3,windows=0,speed=1");
    let other = Sim::tls("3,windows=0,speed=1");
    // Both vouch for the calls, and only one for the session.
    let messages = other.endpoint().to_owned();
    let herder = trusting(&sim, sim.herder(SESSION)).env("AWS_ENDPOINT_URL_SSMMESSAGES", &messages);
    let _ = herder.run().exits(255).silent().says("certificate").says("AWS_CA_BUNDLE");
}
