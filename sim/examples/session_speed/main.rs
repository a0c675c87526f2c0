//! The processes of `cargo xtask bench session`: a simulation, and clients without anything of it.
//!
//! Each role says in one line of JSON that it is ready or what it has measured, and ends with its standard input:
//!
//! | arguments | what it is |
//! |---|---|
//! | `serve SPEC [tls]` | a simulation; answers `sessions` and acts (`"bye"`) on its input with a line each |
//! | `forward SERVER PORT CHUNK` | a listener whose connections go to a port of the node, as `herder session forward` |
//! | `shell SERVER` | an open shell that nobody types at |
//! | `keystrokes SERVER COUNT` | how long keystrokes take to come back |
//! | `copy SERVER CHUNK ENCODING FILE DIRECTORY` | uploads a file and downloads it again |
//! | `broker`, `relay URL` | a WebSocket that gives back what it gets, and a listener that relays to it |
//! | `pace` | what the stand-in's reads and sleeps come to, with nobody to talk to |
//! | `parts CHUNK` | what a megabyte costs without sockets: hash, and both ends of a channel |
//!
//! SERVER is the line that `serve` has said.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures time and runs its parts side by side")]

mod bare;
mod clients;
mod copying;
mod parts;
mod server;

use serde_json::Value;
use server::Remote;
use std::error::Error;
use std::io::{BufRead as _, Write as _};
use tokio::runtime::{Builder, Runtime};

type Anything<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Anything<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // As the executable has it.
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match words[..] {
        ["serve", spec] => server::serve(&runtime, spec, false),
        ["serve", spec, "tls"] => server::serve(&runtime, spec, true),
        ["forward", server, port, chunk] => {
            let remote = Remote::read(server, chunk.parse()?)?;
            until_end(&runtime, clients::forward(remote, port.parse()?))
        }
        ["shell", server] => until_end(&runtime, clients::shell(Remote::read(server, DEFAULT_CHUNK)?)),
        ["keystrokes", server, count] => {
            say(&runtime
                .block_on(clients::keystrokes(Remote::read(server, DEFAULT_CHUNK)?, count.parse()?))?)
        }
        ["copy", server, chunk, encoding, file, directory] => {
            let remote = Remote::read(server, chunk.parse()?)?;
            let places = (file.as_ref(), directory.as_ref());
            say(&runtime.block_on(copying::run(&remote, encoding, places))?)
        }
        ["broker"] => until_end(&runtime, bare::broker()),
        ["relay", url] => until_end(&runtime, bare::relay(url.to_owned())),
        ["pace"] => say(&runtime.block_on(parts::pace())),
        ["parts", chunk] => say(&parts::run(chunk.parse()?)),
        _ => Err("the first lines of this file say what it takes".into()),
    }
}

/// Bytes in a frame where nobody says anything else.
const DEFAULT_CHUNK: usize = 1024;

/// Prints a line.
fn say(value: &Value) -> Anything<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{value}")?;
    Ok(out.flush()?)
}

/// Runs a role until nobody holds the process' input any more, or it fails.
fn until_end(runtime: &Runtime, role: impl Future<Output = Anything<()>>) -> Anything<()> {
    let (ended, end) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let lines = std::io::stdin().lock().lines();
        lines.map_while(Result::ok).for_each(drop);
        // Nobody waits where the role has failed.
        let _ = ended.send(());
    });
    runtime.block_on(async {
        tokio::select! {
            result = role => result,
            _ = end => Ok(()),
        }
    })
}
