//! `--out-dir`: each target's streams and result as files, byte for byte, readable by their owner only.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use herder_core::event::{Body, Envelope, Event, TargetFinished};
use herder_core::journal::{Bodies, StoredOutput};
use herder_core::target::Target;

use super::Renderer;
use super::board::Board;
use super::records::Labels;
use super::text::counted;

/// After so many warnings they are only counted.
const WARNINGS_SHOWN: u64 = 3;

/// Makes the directory, and sees whether a file can be made in it.
///
/// # Errors
/// It is none, or none can.
pub(crate) fn make_out_dir(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let probe = directory.join(".herder-probe");
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&probe)?;
    std::fs::remove_file(probe)
}

/// Files of outputs that could not be written, although the run went on.
#[derive(Debug, thiserror::Error)]
#[error("could not write the outputs of {nodes} to `{directory}`: {error}")]
pub(crate) struct NotWritten {
    directory: String,
    nodes: String,
    error: io::Error,
}

/// Files of outputs. What can't be written is told at once, stops nothing, and is an error at the end.
pub(super) struct OutDir {
    directory: PathBuf,
    board: Board,
    labels: Labels,
    failed: u64,
    first_error: Option<io::Error>,
}

impl OutDir {
    pub(super) fn new(directory: PathBuf, board: Board) -> OutDir {
        OutDir { directory, board, labels: Labels::default(), failed: 0, first_error: None }
    }

    /// `DIR/ID`, or `DIR/ACCOUNT/REGION/ID` where there are several scopes.
    fn stem(&self, target: &Target) -> PathBuf {
        let mut path = self.directory.clone();
        if self.labels.has_scopes() {
            path.push(safe(&target.account));
            path.push(safe(&target.region));
        }
        path.join(safe(&target.id))
    }

    fn write(&self, finished: &TargetFinished) -> io::Result<()> {
        let stem = self.stem(&finished.target);
        if let Some(parent) = stem.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        }
        write_file(&stem, "stdout", &finished.stdout)?;
        write_file(&stem, "stderr", &finished.stderr)?;
        let bare = TargetFinished { stdout: Body::default(), stderr: Body::default(), ..finished.clone() };
        let mut result = serde_json::to_value(bare)?;
        if let Some(fields) = result.as_object_mut() {
            fields.retain(|name, _| name != "stdout" && name != "stderr");
        }
        let mut text = serde_json::to_vec_pretty(&result)?;
        text.push(b'\n');
        write_file(&stem, "json", &Body::from(text))
    }
}

/// Ids are letters, digits and `-`; nothing else may choose a path.
fn safe(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect()
}

fn write_file(stem: &Path, extension: &str, body: &Body) -> io::Result<()> {
    let path = stem.with_extension(extension);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    body.for_each_piece(|piece| file.write_all(piece))
}

impl Renderer for OutDir {
    fn event(&mut self, envelope: &Envelope, _: Option<&StoredOutput>) -> io::Result<()> {
        self.labels.event(&envelope.event);
        if let Event::TargetFinished(finished) = &envelope.event
            && let Err(error) = self.write(finished)
        {
            self.failed += 1;
            if self.failed <= WARNINGS_SHOWN {
                let warning = self.board.paint().yellow("warning:");
                let (node, directory) =
                    (self.labels.id(&finished.target), self.directory.display().to_string());
                let directory = self.board.shown(&directory);
                self.board
                    .say(&format!("{warning} the output of {node} can't be written to {directory}: {error}"));
            }
            self.first_error.get_or_insert(error);
        }
        Ok(())
    }

    fn finish(&mut self, _: &Bodies) -> io::Result<()> {
        if self.failed > WARNINGS_SHOWN {
            let warning = self.board.paint().yellow("warning:");
            self.board.say(&format!("{warning} the outputs of {} nodes could not be written", self.failed));
        }
        let Some(error) = self.first_error.take() else { return Ok(()) };
        let nodes = counted(self.failed, "node");
        let directory = self.directory.display().to_string();
        Err(io::Error::other(NotWritten { directory, nodes, error }))
    }
}
