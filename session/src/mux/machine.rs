//! The multiplexer without I/O.
//!
//! Bytes from the other side go into [`Mux::receive`] and come out of [`Mux::take`], stream by stream; what
//! [`Mux::write`] and the others queue comes out of [`Mux::transmit`] as bytes for the other side. [`Mux::next_event`]
//! tells what has changed. Nothing here waits or knows the time, but for the instants that [`Mux::mark_full`] and
//! [`Mux::relieve`] are given.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::frame::{Decoder, Frame, HEADER_SIZE, MAX_PAYLOAD, ProtocolError, push_header};
use super::queue::ByteQueue;
use super::{Half, MuxOptions, Role, StreamError, StreamId};

/// A frame is not cut shorter than this just to fill a block.
const MIN_CUT: usize = 512;

/// How many refusals of streams may wait to be sent before nothing more is received.
const MAX_REFUSALS: usize = 1024;

/// What has changed with a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The other side has opened it. Only a client does: what an agent opens is refused.
    Opened(StreamId),
    /// There is something to [take](Mux::take), if only its end.
    Readable(StreamId),
    /// A [write](Mux::write) that found no room would find some, or would fail.
    Writable(StreamId),
}

/// What [`Mux::take`] gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// The next bytes, at least one.
    Bytes(Bytes),
    /// Nothing has come yet.
    Nothing,
    /// Everything has been taken, and nothing will follow.
    End,
    /// The stream can't be read any more.
    Failed(StreamError),
}

/// Why a stream can't be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// There are as many streams as there may be.
    #[error("the session has all the {0} streams that it may have")]
    TooMany(usize),
    /// Every number has been used.
    #[error("the session has no stream numbers left")]
    NoIds,
}

/// How a stream ended for its reader.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Ending {
    Open,
    Finished,
    Failed(StreamError),
}

/// Where a stream is with its FIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fin {
    NotYet,
    /// Follows what is queued.
    Due,
    Sent,
}

#[derive(Debug)]
struct Stream {
    inbound: ByteQueue,
    outbound: ByteQueue,
    syn_due: bool,
    fin: Fin,
    /// The local side wants to send nothing more.
    is_shut: bool,
    /// The local side is gone: it reads nothing more either.
    is_closed: bool,
    /// Stands in the ring of those that have something to send.
    is_in_turn: bool,
    /// A write found no room.
    wants_room: bool,
    ending: Ending,
    has_received: bool,
    /// When the budget was first found full with something here that nobody has taken since.
    waits_since: Option<Duration>,
}

impl Stream {
    fn new(syn_due: bool) -> Stream {
        Stream {
            inbound: ByteQueue::default(),
            outbound: ByteQueue::default(),
            syn_due,
            fin: Fin::NotYet,
            is_shut: false,
            is_closed: false,
            is_in_turn: false,
            wants_room: false,
            ending: Ending::Open,
            has_received: false,
            waits_since: None,
        }
    }

    fn has_to_send(&self) -> bool {
        self.syn_due || self.fin == Fin::Due || !self.outbound.is_empty()
    }

    fn finish(&mut self) {
        if self.fin == Fin::NotYet {
            self.fin = Fin::Due;
        }
    }

    /// Appends what one turn may send to a block; false if the block is full and the turn not over.
    fn fill(&mut self, id: StreamId, block: &mut BytesMut, options: &MuxOptions) -> bool {
        let room = |block: &BytesMut| options.block.checked_sub(block.len() + HEADER_SIZE);
        if self.syn_due {
            if room(block).is_none() {
                return false;
            }
            Frame::Syn(id).encode(block);
            self.syn_due = false;
        }
        if !self.outbound.is_empty() {
            let wanted = self.outbound.len().min(options.max_frame);
            let count = room(block).unwrap_or(0).min(wanted);
            if count == 0 || (count < wanted.min(MIN_CUT) && !block.is_empty()) {
                return false;
            }
            block.reserve(HEADER_SIZE + count);
            push_header(block, id, count);
            self.outbound.pop_into(block, count);
            return true;
        }
        if self.fin == Fin::Due {
            if room(block).is_none() {
                return false;
            }
            Frame::Fin(id).encode(block);
            self.fin = Fin::Sent;
        }
        true
    }
}

/// The streams of a session.
#[derive(Debug)]
pub struct Mux {
    role: Role,
    options: MuxOptions,
    decoder: Decoder,
    streams: BTreeMap<StreamId, Stream>,
    /// Streams that have something to send, in the order of their turns.
    turns: VecDeque<StreamId>,
    /// Frames of no stream of ours: refusals, and NOPs.
    control: VecDeque<Frame>,
    events: VecDeque<Event>,
    /// Bytes that nobody has taken yet.
    buffered: usize,
    next_id: Option<u32>,
    /// Flags that told of a failed connection, and whose streams have not ended yet.
    failed_connections: usize,
    ended: Option<String>,
}

impl Mux {
    /// A session at its beginning.
    pub fn new(role: Role, options: MuxOptions) -> Mux {
        let max_frame = options.max_frame.clamp(1, MAX_PAYLOAD);
        let block = options.block.max(2 * HEADER_SIZE);
        Mux {
            role,
            options: MuxOptions { max_frame, block, ..options },
            decoder: Decoder::default(),
            streams: BTreeMap::new(),
            turns: VecDeque::new(),
            control: VecDeque::new(),
            events: VecDeque::new(),
            buffered: 0,
            next_id: Some(match role {
                Role::Client => 3,
                Role::Agent => 2,
            }),
            failed_connections: 0,
            ended: None,
        }
    }

    /// The options that hold, put right where they made no sense.
    pub fn options(&self) -> &MuxOptions {
        &self.options
    }

    /// Opens a stream.
    ///
    /// # Errors
    /// There are too many streams, or all numbers are used up.
    pub fn open(&mut self) -> Result<StreamId, OpenError> {
        if self.streams.len() >= self.options.max_streams {
            return Err(OpenError::TooMany(self.options.max_streams));
        }
        let id = loop {
            let id = self.next_id.ok_or(OpenError::NoIds)?;
            self.next_id = id.checked_add(2);
            // The other side should not use our numbers, but it can.
            if !self.streams.contains_key(&StreamId(id)) {
                break StreamId(id);
            }
        };
        self.streams.insert(id, Stream::new(true));
        self.give_turn(id);
        Ok(id)
    }

    /// Whether more may be received: the budget is not used up, and the other side takes what is answered.
    pub fn can_receive(&self) -> bool {
        self.buffered < self.options.receive_budget && self.control.len() < MAX_REFUSALS
    }

    /// How many bytes wait for readers.
    pub fn buffered(&self) -> usize {
        self.buffered
    }

    /// How many streams there are.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Takes bytes from the other side. Takes all of them, even if the budget is exceeded by that: ask
    /// [`Mux::can_receive`] first.
    ///
    /// # Errors
    /// The bytes are no frames. The session is over then.
    pub fn receive(&mut self, mut bytes: Bytes) -> Result<(), ProtocolError> {
        let buffer = bytes.len();
        loop {
            match self.decoder.next(&mut bytes) {
                Ok(None) => return Ok(()),
                Ok(Some(Frame::Syn(id))) => self.opened(id),
                Ok(Some(Frame::Fin(id))) => self.finished(id),
                Ok(Some(Frame::Push(id, payload))) => self.pushed(id, payload, buffer),
                Ok(Some(Frame::Nop)) => {}
                Err(error) => {
                    self.end(&error.to_string());
                    return Err(error);
                }
            }
        }
    }

    fn opened(&mut self, id: StreamId) {
        if self.streams.contains_key(&id) {
            return;
        }
        // Nobody at a client would ever read a stream of the agent's: it would use up a place, and the budget.
        if self.role == Role::Client || self.streams.len() >= self.options.max_streams {
            self.control.push_back(Frame::Fin(id));
            return;
        }
        self.streams.insert(id, Stream::new(false));
        self.events.push_back(Event::Opened(id));
    }

    fn pushed(&mut self, id: StreamId, payload: Bytes, buffer: usize) {
        // What comes for a stream that is closed here was on its way already.
        let Some(stream) = self.streams.get_mut(&id).filter(|s| !s.is_closed) else { return };
        if stream.ending != Ending::Open {
            return;
        }
        if stream.inbound.is_empty() {
            self.events.push_back(Event::Readable(id));
        }
        stream.has_received = true;
        self.buffered += payload.len();
        stream.inbound.push(payload, buffer);
    }

    fn finished(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id).filter(|s| s.ending == Ending::Open) else { return };
        let has_failed = self.failed_connections > 0 && !stream.has_received;
        if has_failed {
            self.failed_connections -= 1;
        }
        stream.ending = match has_failed {
            true => Ending::Failed(StreamError::ConnectFailed),
            false => Ending::Finished,
        };
        // Nobody there takes it any more.
        stream.outbound.clear();
        stream.finish();
        self.events.push_back(Event::Readable(id));
        self.events.push_back(Event::Writable(id));
        self.give_turn(id);
    }

    /// The agent could not connect to a destination: tells the stream that ends next without having received anything.
    /// Which one it is, the agent doesn't say.
    pub fn connection_failed(&mut self) {
        self.failed_connections = (self.failed_connections + 1).min(self.streams.len());
    }

    /// Takes at most `limit` bytes that have come on a stream.
    pub fn take(&mut self, id: StreamId, limit: usize) -> Taken {
        let Some(stream) = self.streams.get_mut(&id) else { return Taken::Failed(self.gone()) };
        if let Some(bytes) = stream.inbound.pop(limit) {
            stream.waits_since = None;
            self.buffered -= bytes.len();
            return Taken::Bytes(bytes);
        }
        match (&stream.ending, &self.ended) {
            (Ending::Finished, _) => Taken::End,
            (Ending::Failed(error), _) => Taken::Failed(error.clone()),
            (Ending::Open, Some(_)) => Taken::Failed(self.gone()),
            (Ending::Open, None) => Taken::Nothing,
        }
    }

    fn gone(&self) -> StreamError {
        match &self.ended {
            Some(reason) => StreamError::SessionEnded { reason: reason.clone() },
            None => StreamError::Closed,
        }
    }

    /// How many bytes a stream would take; none asks for [`Event::Writable`].
    ///
    /// # Errors
    /// The stream is closed, or the session over.
    pub fn room(&mut self, id: StreamId) -> Result<usize, StreamError> {
        let gone = self.gone();
        let Some(stream) = self.streams.get_mut(&id).filter(|s| !s.is_shut) else { return Err(gone) };
        match &stream.ending {
            Ending::Failed(error) => return Err(error.clone()),
            Ending::Finished => return Err(StreamError::Closed),
            Ending::Open if self.ended.is_some() => return Err(gone),
            Ending::Open => {}
        }
        let room = self.options.send_buffer.max(1).saturating_sub(stream.outbound.len());
        stream.wants_room = room == 0;
        Ok(room)
    }

    /// Queues a copy of as many bytes as there is room for, and gives their number.
    ///
    /// # Errors
    /// The stream is closed, or the session over.
    pub fn write(&mut self, id: StreamId, bytes: &[u8]) -> Result<usize, StreamError> {
        let count = self.room(id)?.min(bytes.len());
        if let Some((stream, bytes)) = self.streams.get_mut(&id).zip(bytes.get(..count)) {
            stream.outbound.push_slice(bytes);
        }
        self.give_turn(id);
        Ok(count)
    }

    /// Queues as many bytes as there is room for without copying them, and takes them from `bytes`.
    ///
    /// # Errors
    /// The stream is closed, or the session over.
    pub fn write_bytes(&mut self, id: StreamId, bytes: &mut Bytes) -> Result<usize, StreamError> {
        let count = self.room(id)?.min(bytes.len());
        if let Some(stream) = self.streams.get_mut(&id) {
            let buffer = bytes.len();
            stream.outbound.push(bytes.split_to(count), buffer);
        }
        self.give_turn(id);
        Ok(count)
    }

    /// The local side sends nothing more, but may still read. What the other side is told depends on
    /// [`MuxOptions::half`].
    pub fn shut(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.is_shut = true;
        if self.options.half == Half::Sent {
            stream.finish();
        }
        self.give_turn(id);
    }

    /// The local side is gone: what is queued is sent, then FIN; what has come is forgotten.
    pub fn close(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        self.buffered -= stream.inbound.len();
        stream.inbound.clear();
        (stream.is_shut, stream.is_closed) = (true, true);
        stream.finish();
        if self.ended.is_some() {
            (stream.syn_due, stream.fin) = (false, Fin::Sent);
            stream.outbound.clear();
        }
        self.give_turn(id);
        self.forget_if_done(id);
    }

    /// Queues a frame that says nothing, to be heard.
    pub fn keep_alive(&mut self) {
        if !self.control.contains(&Frame::Nop) {
            self.control.push_back(Frame::Nop);
        }
    }

    /// The session is over: whoever reads or writes a stream that has not ended is told so.
    pub fn end(&mut self, reason: &str) {
        self.ended.get_or_insert_with(|| reason.to_owned());
        for (id, stream) in &mut self.streams {
            stream.outbound.clear();
            self.events.push_back(Event::Readable(*id));
            self.events.push_back(Event::Writable(*id));
        }
    }

    /// What changed next; everything that waits for a stream is to be woken by these.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether [`Mux::transmit`] would give something.
    pub fn has_to_send(&self) -> bool {
        !self.control.is_empty() || !self.turns.is_empty()
    }

    fn give_turn(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(&id).filter(|s| s.has_to_send() && !s.is_in_turn) {
            stream.is_in_turn = true;
            self.turns.push_back(id);
        }
    }

    /// Takes a block of frames to send, of at most [`MuxOptions::block`] bytes; none if nothing waits.
    pub fn transmit(&mut self) -> Option<Bytes> {
        let limit = self.options.block;
        let mut block = BytesMut::new();
        while block.len() + HEADER_SIZE <= limit {
            let Some(frame) = self.control.pop_front() else { break };
            frame.encode(&mut block);
        }
        while let Some(id) = self.turns.pop_front() {
            let Some(stream) = self.streams.get_mut(&id) else { continue };
            let is_full = !stream.fill(id, &mut block, &self.options);
            if stream.wants_room && stream.outbound.len() <= self.options.send_buffer / 2 {
                stream.wants_room = false;
                self.events.push_back(Event::Writable(id));
            }
            match (is_full, stream.has_to_send()) {
                (true, _) => {
                    self.turns.push_front(id);
                    break;
                }
                (false, true) => self.turns.push_back(id),
                (false, false) => {
                    stream.is_in_turn = false;
                    self.forget_if_done(id);
                }
            }
        }
        (!block.is_empty()).then(|| block.freeze())
    }

    /// A stream is forgotten when nobody here holds it and all has been said.
    fn forget_if_done(&mut self, id: StreamId) {
        if self.streams.get(&id).is_some_and(|s| s.is_closed && !s.has_to_send()) {
            self.streams.remove(&id);
        }
        if self.streams.is_empty() {
            self.failed_connections = 0;
        }
    }

    /// Notes that the budget was found full at `now` (since an origin of the caller's), and gives the instant at which
    /// [`Mux::relieve`] may help; none if streams are never closed for it.
    pub fn mark_full(&mut self, now: Duration) -> Option<Duration> {
        let limit = self.options.stall_limit?;
        let waiting = self.streams.values_mut().filter(|stream| !stream.inbound.is_empty());
        waiting.map(|stream| *stream.waits_since.get_or_insert(now)).min().map(|since| since + limit)
    }

    /// Closes the stream that has held up the others for longer than it may, if there is one, and gives its number.
    /// Its reader gets [`StreamError::Stalled`].
    pub fn relieve(&mut self, now: Duration) -> Option<StreamId> {
        let limit = self.options.stall_limit?;
        if self.can_receive() || self.streams.len() < 2 {
            return None;
        }
        let share = self.buffered / self.streams.len();
        let is_stalled =
            |s: &Stream| s.inbound.len() >= share && s.waits_since.is_some_and(|since| since + limit <= now);
        let stalled = self.streams.iter().filter(|(_, stream)| is_stalled(stream));
        let id = *stalled.max_by_key(|(_, stream)| stream.inbound.len())?.0;
        let stream = self.streams.get_mut(&id)?;
        self.buffered -= stream.inbound.len();
        stream.inbound.clear();
        stream.outbound.clear();
        stream.waits_since = None;
        stream.finish();
        stream.ending = Ending::Failed(StreamError::Stalled { limit });
        self.events.push_back(Event::Readable(id));
        self.events.push_back(Event::Writable(id));
        self.give_turn(id);
        Some(id)
    }
}
