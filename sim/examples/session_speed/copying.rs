//! Files to and from the node, as `herder session cp` copies them.

use crate::Anything;
use crate::server::Remote;
use herder_session::client::{EventLink, SessionEvent, SessionHandle};
use herder_session::copy::{Copier, CopyOptions, Encoding, EventExec, Node, RemotePath};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Instant;

type Tell = fn(SessionEvent);

impl Node for Remote {
    type Source = EventLink<Tell>;
    type Sink = SessionHandle;
    type Exec = EventExec<Tell>;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    async fn terminal(&self, command: String) -> Result<(Self::Source, Self::Sink), Self::Error> {
        let parameters = json!({"command": [command]});
        let session = self.session(Some("AWS-StartInteractiveCommand"), parameters).await?;
        Ok((session.events.into_link(drop as Tell), session.handle))
    }

    async fn exec(&self, command: String) -> Result<Self::Exec, Self::Error> {
        let parameters = json!({"command": [command], "separateOutputStream": ["true"]});
        let session = self.session(Some("AWS-StartNonInteractiveCommand"), parameters).await?;
        Ok(session.events.into_exec(drop as Tell))
    }
}

/// Uploads `file`, and downloads it into `directory`: the seconds that each took, from the session's start on.
pub(crate) async fn run(remote: &Remote, encoding: &str, places: (&Path, &Path)) -> Anything<Value> {
    let (file, directory) = places;
    let encoding = match encoding {
        "raw" => Encoding::Raw,
        "base64" => Encoding::Base64,
        _ => return Err("raw or base64".into()),
    };
    let options = CopyOptions { encoding, resume: false, ..CopyOptions::default() };
    let copier = Copier::new(remote, [7; 16], options, &|_| {});
    let there = RemotePath::new("/tmp/copied").ok_or("no path")?;
    let begun = Instant::now();
    copier.upload(file, &there).await?;
    let up = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    copier.download(&there, &directory.join("copied")).await?;
    Ok(json!({"up": up, "down": begun.elapsed().as_secs_f64()}))
}
