//! Getting a connection, the first and every later one.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::control::{Control, Opened, Resumption, chain};
use super::dial::{DialError, DialOptions, Socket, dial};
use super::driver::failed;
use super::queue::Producer;
use super::{SessionEnd, SessionError, SessionEvent, SessionOptions};
use crate::ids::Ids;
use crate::payload::{JsonPayload, OpenDataChannel};

/// Tries for the first connection, as the official client's: a session that can't even begin says so soon.
const FIRST_TRIES: u32 = 5;

/// Refusals in a row until permission is missing, and not freshness: each try has a new token and a new signature.
const REFUSALS: u32 = 3;

/// The longest wait between tries, as the official client's.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// A connection that stood for so long was a good one: the next try after it does not wait.
const GOOD_AFTER: Duration = Duration::from_secs(10);

/// Makes connections of a session.
pub(super) struct Connector<C> {
    control: Arc<C>,
    opened: Opened,
    dial: DialOptions,
    reconnect_for: Duration,
    ids: Ids,
    client_id: String,
    /// Tries since the last good connection.
    tries: u32,
    refusals: u32,
    /// When the last good connection was lost.
    lost_at: Instant,
    connected_at: Option<Instant>,
    is_first: bool,
    reconnects: u32,
}

impl<C: Control> Connector<C> {
    pub(super) fn new(control: Arc<C>, opened: Opened, options: &SessionOptions, seed: u64) -> Connector<C> {
        let mut ids = Ids::new(seed);
        Connector {
            control,
            opened,
            dial: options.dial.clone(),
            reconnect_for: options.reconnect_for,
            client_id: ids.uuid().to_string(),
            ids,
            tries: 0,
            refusals: 0,
            lost_at: Instant::now(),
            connected_at: None,
            is_first: true,
            reconnects: 0,
        }
    }

    /// Connections after the first.
    pub(super) fn reconnects(&self) -> u32 {
        self.reconnects
    }

    /// The connection is gone.
    pub(super) fn lost(&mut self) {
        if self.connected_at.take().is_some_and(|at| at.elapsed() >= GOOD_AFTER) {
            self.tries = 0;
            self.refusals = 0;
            self.lost_at = Instant::now();
        }
    }

    /// Connects, however often it takes; `lost` says why the connection before is gone.
    pub(super) async fn connect(
        &mut self,
        lost: Option<String>,
        events: &Producer,
    ) -> Result<Socket, SessionEnd> {
        let mut why = lost;
        loop {
            // The first try of all is with the token that is there.
            let is_fresh = self.is_first && self.tries == 0;
            if let Some(why) = why.take() {
                events.extend([SessionEvent::Reconnecting { attempt: self.tries + 1, why }]);
                tokio::time::sleep(self.wait()).await;
            }
            self.tries = self.tries.saturating_add(1);
            match self.attempt(is_fresh).await {
                Ok(socket) => {
                    self.connected_at = Some(Instant::now());
                    if !std::mem::take(&mut self.is_first) {
                        self.reconnects += 1;
                        events.extend([SessionEvent::Reconnected]);
                    }
                    return Ok(socket);
                }
                Err(Failure::Over(end)) => return Err(end),
                Err(Failure::Again(error)) => why = Some(self.again(error)?),
            }
        }
    }

    /// How long to wait before the next try: none after a good connection, then 100 to 200 ms, doubled each time.
    fn wait(&mut self) -> Duration {
        if self.tries == 0 {
            return Duration::ZERO;
        }
        let first = Duration::from_millis(100 + self.ids.number() % 100);
        first.saturating_mul(1 << (self.tries - 1).min(10)).min(MAX_WAIT)
    }

    /// Whether there is another try after this failure; gives its text.
    fn again(&mut self, error: SessionError) -> Result<String, SessionEnd> {
        let is_refusal = matches!(&error, SessionError::Dial(error) if error.is_refusal());
        self.refusals = if is_refusal { self.refusals + 1 } else { 0 };
        // Before anything has worked, a second refusal is an answer.
        let refusals = if self.is_first { 2 } else { REFUSALS };
        let why = chain(&error);
        let after = self.lost_at.elapsed();
        if self.refusals >= refusals || (self.is_first && self.tries >= FIRST_TRIES) {
            return Err(failed(error));
        }
        if after >= self.reconnect_for {
            return Err(failed(SessionError::GaveUp { after, why }));
        }
        Ok(why)
    }

    async fn attempt(&mut self, is_fresh: bool) -> Result<Socket, Failure> {
        if !is_fresh {
            self.resume().await?;
        }
        let opening = OpenDataChannel {
            message_schema_version: "1.0".into(),
            request_id: self.ids.uuid().to_string(),
            token_value: self.opened.token.clone(),
            client_instance_id: None,
            client_id: self.client_id.clone(),
            client_version: Some(crate::CLIENT_VERSION.into()),
        };
        let opening = String::from_utf8_lossy(&opening.to_json()).into_owned();
        match dial(&self.dial, &*self.control, &self.opened.stream_url, opening).await {
            Ok(socket) => Ok(socket),
            Err(error) if error.is_final() => Err(Failure::Over(failed(error.into()))),
            Err(error) => Err(Failure::Again(DialError::into(error))),
        }
    }

    /// Gets a new address and a new token.
    async fn resume(&mut self) -> Result<(), Failure> {
        let resuming = self.control.resume(&self.opened.session_id);
        let resumed = tokio::time::timeout(self.dial.within, resuming).await;
        let timed_out = || DialError::TimedOut { what: "ResumeSession".into(), within: self.dial.within };
        match resumed.map_err(|_| Failure::Again(timed_out().into()))? {
            Ok(Resumption::Open { stream_url, token }) => {
                if let Some(stream_url) = stream_url.filter(|url| !url.is_empty()) {
                    self.opened.stream_url = stream_url;
                }
                self.opened.token = token;
                Ok(())
            }
            Ok(Resumption::TimedOut) => Err(Failure::Over(SessionEnd::TimedOut)),
            Ok(Resumption::Gone) => Err(Failure::Over(SessionEnd::Gone)),
            Err(error) if error.is_transient => Err(Failure::Again(SessionError::Resume(error))),
            Err(error) => Err(Failure::Over(failed(SessionError::Resume(error)))),
        }
    }
}

/// What became of a try.
enum Failure {
    /// Another one may do better.
    Again(SessionError),
    /// There is no other one.
    Over(SessionEnd),
}
