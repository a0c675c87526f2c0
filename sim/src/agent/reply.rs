//! What a scenario says that a node does with a command of a session, instead of running it.

use crate::content::Content;
use crate::node_shell::machine::{Machine, Running};
use crate::node_shell::stream::Stream;
use crate::service::ssm::answers::Prepared;
use bytes::Bytes;
use std::sync::Arc;

/// Bytes that are made at once.
const PIECE: usize = 64 << 10;

/// Gives the answer on the streams, and its code when its time is over.
pub(super) fn play(machine: Arc<Machine>, (out, err): (Stream, Stream), prepared: Prepared) -> Running {
    Box::pin(async move {
        let _nobody_looks = print(&machine, &err, &Content::Bytes(prepared.stderr)).await;
        if print(&machine, &out, &prepared.stdout).await.is_err() {
            // As for any program whose reader is gone: SIGPIPE.
            return 141;
        }
        machine.sleep(prepared.seconds).await;
        if prepared.dies {
            std::future::pending::<()>().await;
        }
        prepared.code
    })
}

async fn print(machine: &Machine, stream: &Stream, content: &Content) -> Result<(), ()> {
    let mut at = 0;
    while at < content.length() {
        let piece = content.part(at, PIECE);
        at += piece.len() as u64;
        stream.write(Bytes::from(piece)).await.map_err(|_| ())?;
        machine.step().await;
    }
    Ok(())
}
