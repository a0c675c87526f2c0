//! A conversation with the script of an upload.

use std::collections::VecDeque;

use bytes::Bytes;

use super::upload::{Answer, Answers, Request, command};
use super::{CopyError, Marker, Node};
use crate::link::{Incoming, LinkEnded, LinkSink, LinkSource};

/// What a terminal's sink and source are for: requests and bytes go out while answers come in.
pub(super) struct Talk<R, W> {
    source: R,
    sink: W,
    answers: Answers,
    read: VecDeque<Answer>,
    is_exact: bool,
}

impl<R: LinkSource, W: LinkSink> Talk<R, W> {
    /// Runs the script, and waits until it takes requests.
    pub(super) async fn begin<N>(node: &N, marker: &Marker) -> Result<Talk<R, W>, CopyError>
    where
        N: Node<Source = R, Sink = W>,
    {
        let begun = node.terminal(command(marker)).await;
        let (source, sink) = begun.map_err(|error| CopyError::Start(error.into()))?;
        let answers = Answers::new(marker.clone());
        let mut talk = Talk { source, sink, answers, read: VecDeque::new(), is_exact: false };
        match talk.answer().await? {
            Answer::Ready { is_exact } => talk.is_exact = is_exact,
            answer => return Err(unexpected(&answer)),
        }
        Ok(talk)
    }

    /// Whether requests may follow bytes before those are answered.
    pub(super) fn is_exact(&self) -> bool {
        self.is_exact
    }

    /// Whether an answer is there already.
    pub(super) fn has_answer(&self) -> bool {
        !self.read.is_empty()
    }

    /// Whether the script has ended because it could not go on, which it has said.
    pub(super) fn has_stopped(&self) -> bool {
        matches!(self.read.back(), Some(Answer::Stopped(_)))
    }

    /// Sends a request and waits for its answer.
    pub(super) async fn ask(&mut self, request: &Request) -> Result<Answer, CopyError> {
        self.send(request.command()).await?;
        self.answer().await
    }

    /// Waits for the next answer.
    pub(super) async fn answer(&mut self) -> Result<Answer, CopyError> {
        loop {
            if let Some(answer) = self.read.pop_front() {
                return Ok(answer);
            }
            let incoming = self.source.next().await;
            self.take(incoming)?;
        }
    }

    /// Sends bytes. Takes in what comes meanwhile: a node that waits for somebody to read its answers takes nothing, and
    /// a script that has stopped takes nothing either; then only part of them is sent or nothing, and there is an answer.
    pub(super) async fn send(&mut self, bytes: Bytes) -> Result<(), CopyError> {
        if self.has_stopped() {
            return Ok(());
        }
        let Talk { source, sink, answers, read, .. } = self;
        let mut sending = std::pin::pin!(sink.send(bytes));
        loop {
            let incoming = tokio::select! {
                biased;
                sent = &mut sending => match sent {
                    Ok(()) => return Ok(()),
                    Err(_) => break,
                },
                incoming = source.next() => incoming,
            };
            read.extend(parse(answers, incoming)?);
            if matches!(read.back(), Some(Answer::Stopped(_))) {
                return Ok(());
            }
        }
        // Nobody takes any more: what the script said at its end, if anything, tells more than that.
        while !matches!(read.back(), Some(Answer::Stopped(_))) {
            read.extend(parse(answers, source.next().await)?);
        }
        Ok(())
    }

    fn take(&mut self, incoming: Result<Incoming, LinkEnded>) -> Result<(), CopyError> {
        self.read.extend(parse(&mut self.answers, incoming)?);
        Ok(())
    }
}

fn parse(answers: &mut Answers, incoming: Result<Incoming, LinkEnded>) -> Result<Vec<Answer>, CopyError> {
    match incoming {
        Ok(Incoming::Bytes(bytes)) => answers.read(&bytes),
        Ok(Incoming::Flag(_)) => Ok(Vec::new()),
        Err(ended) => Err(match answers.noise() {
            Some(noise) => LinkEnded::new(format!("{} (the node said: {noise})", ended.reason)).into(),
            None => ended.into(),
        }),
    }
}

/// An answer to another question.
pub(super) fn unexpected(answer: &Answer) -> CopyError {
    CopyError::Garbled(format!("{answer:?} out of turn"))
}
