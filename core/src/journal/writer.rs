//! Writing: [`Journal`] for intents and remote ids, [`EventLog`] for the public stream.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::lines::LineWriter;
use super::{Bodies, JournalError, Permit, Record, RunDirectory, StoredEvent, StoredOutput};
use crate::event::{Body, Envelope, Event, TargetFinished};
use crate::target::Target;
use crate::verdict::Reason;

/// The private side of a run's journal. Clones write to the same file.
#[derive(Clone, Debug)]
pub struct Journal {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    lines: LineWriter,
    next_intent: u64,
    broken: Option<String>,
}

impl Journal {
    /// Opens the journal of a run; `next_intent` is 1 for a new one, else what its replay says.
    ///
    /// # Errors
    /// The file can't be opened.
    pub fn open(directory: &RunDirectory, next_intent: u64) -> Result<Journal, JournalError> {
        let lines = LineWriter::open::<Record>(&directory.journal())?;
        Ok(Journal { inner: Arc::new(Mutex::new(Inner { lines, next_intent, broken: None })) })
    }

    /// Puts the intent of a send on disk (fdatasync) and gives the permit for it.
    ///
    /// # Errors
    /// The intent is not on disk, so the call must not be made.
    pub async fn intend_send(
        &self,
        targets: Vec<u32>,
        lane: u32,
        attempt: u32,
        server_at: Option<Timestamp>,
    ) -> Result<Permit, JournalError> {
        self.intend(move |intent| Record::Send { intent, targets, lane, attempt, server_at }).await
    }

    /// The same for a remote cancel.
    ///
    /// # Errors
    /// The intent is not on disk, so the call must not be made.
    pub async fn intend_cancel(&self, command_id: String) -> Result<Permit, JournalError> {
        self.intend(move |intent| Record::Cancel { intent, command_id }).await
    }

    async fn intend(
        &self,
        record: impl FnOnce(u64) -> Record + Send + 'static,
    ) -> Result<Permit, JournalError> {
        self.blocking(|inner| {
            if let Some(why) = &inner.broken {
                return Err(JournalError::Broken(why.clone()));
            }
            let intent = inner.next_intent;
            inner.next_intent += 1;
            inner.write(&record(intent))?;
            Ok(Permit::new(intent))
        })
        .await
    }

    /// Notes that the service took a send.
    ///
    /// # Errors
    /// It is not on disk; a resume will find the command by its marker instead.
    pub async fn sent(&self, intent: u64, command_id: String) -> Result<(), JournalError> {
        self.note(Record::Sent { intent, command_id }).await
    }

    /// Notes that a node has become a target of the run: the service chose it by itself.
    ///
    /// # Errors
    /// It is not on disk; a resume will find it again in the command's results.
    pub async fn adopted(&self, intent: u64, line: u32, target: Target) -> Result<(), JournalError> {
        self.note(Record::Adopted { intent, line, target }).await
    }

    /// Notes that a send changed nothing.
    ///
    /// # Errors
    /// It is not on disk.
    pub async fn not_sent(&self, intent: u64, reason: Reason) -> Result<(), JournalError> {
        self.note(Record::NotSent { intent, reason }).await
    }

    /// Notes that a send's fate could not be found out.
    ///
    /// # Errors
    /// It is not on disk.
    pub async fn lost(&self, intent: u64) -> Result<(), JournalError> {
        self.note(Record::Lost { intent }).await
    }

    /// What has happened is noted even after a failed write: it may work, and a resume will know more.
    async fn note(&self, record: Record) -> Result<(), JournalError> {
        self.blocking(move |inner| inner.write(&record)).await
    }

    /// After a failed write nothing may be intended any more: the run stops sending.
    pub fn mark_broken(&self, why: &str) {
        lock(&self.inner).broken.get_or_insert_with(|| why.to_owned());
    }

    /// Whether nobody else writes to it any more, in the background or as a clone.
    #[cfg(test)]
    pub(crate) fn is_alone(&self) -> bool {
        Arc::strong_count(&self.inner) == 1
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Inner) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let inner = Arc::clone(&self.inner);
        match tokio::task::spawn_blocking(move || work(&mut lock(&inner))).await {
            Ok(result) => result,
            Err(join) => Err(JournalError::Broken(join.to_string())),
        }
    }
}

impl Inner {
    /// Writes a record and makes it durable; if that fails, nothing may be intended any more.
    fn write(&mut self, record: &Record) -> Result<(), JournalError> {
        let result = self.lines.append(record).and_then(|()| self.lines.sync());
        if let Err(error) = &result {
            self.broken.get_or_insert_with(|| error.to_string());
        }
        result
    }
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The public side: `events.jsonl` and the bodies beside it.
#[derive(Debug)]
pub struct EventLog {
    lines: LineWriter,
    bodies: Bodies,
}

impl EventLog {
    /// Opens the event log of a run.
    ///
    /// # Errors
    /// A file can't be opened.
    pub fn open(directory: &RunDirectory) -> Result<EventLog, JournalError> {
        let path = directory.bodies();
        Ok(EventLog {
            lines: LineWriter::open::<StoredEvent>(&directory.events())?,
            bodies: Bodies::open(&path).map_err(JournalError::io("open", &path))?,
        })
    }

    /// Writes one event, bodies first, so that a reference never points at nothing. What comes back is the event as
    /// stored: without bodies.
    ///
    /// # Errors
    /// The disk is full or gone. Bodies that could not be stored stay in the event that comes back, which has no reference then.
    pub fn append(
        &mut self,
        mut envelope: Envelope,
    ) -> Result<StoredEvent, (Box<StoredEvent>, JournalError)> {
        let stored = match &mut envelope.event {
            Event::TargetFinished(finished) => match self.put(finished) {
                Ok(stored) => Some(stored),
                Err(source) => {
                    let error = JournalError::Io { action: "write", path: "output/bodies".into(), source };
                    return Err((Box::new(StoredEvent { envelope, stored: None }), error));
                }
            },
            _ => None,
        };
        let event = StoredEvent { envelope, stored };
        match self.lines.append(&event) {
            Ok(()) => Ok(event),
            Err(error) => Err((Box::new(event), error)),
        }
    }

    /// Moves both bodies to the disk, or none.
    fn put(&mut self, finished: &mut TargetFinished) -> io::Result<StoredOutput> {
        let stdout = self.bodies.put(&finished.stdout)?;
        let stderr = self.bodies.put(&finished.stderr)?;
        (finished.stdout, finished.stderr) = (Body::default(), Body::default());
        Ok(StoredOutput { stdout, stderr })
    }
}
