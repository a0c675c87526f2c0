//! How much may be unacknowledged: clocked by acknowledgements, steered by delay.
//!
//! Loss hardly happens below the channel (TCP on every hop), so it says little; what tells that a path or a destination is
//! full is that acknowledgements take longer. The window doubles until they do, then grows slowly while they come back
//! within some 25 ms of the shortest time seen, and shrinks when they take 100 ms more. That is far less than what queues
//! hold without a window, so that a keystroke beside an upload stays quick, and far more than any path needs.

use std::time::Duration;

use super::round_trip::RoundTrip;

/// How much may be unacknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowLimit {
    /// As much as the path carries.
    Adaptive {
        /// At most so many messages.
        max_messages: usize,
        /// At most so many bytes, headers included.
        max_bytes: usize,
    },
    /// Anything, as both official ends do. What exceeds these bounds is sent, but can't be sent again.
    None {
        /// Messages kept to be sent again; 100,000 in the official agent.
        recorded_messages: usize,
        /// Their bytes, headers included.
        recorded_bytes: usize,
    },
}

impl Default for WindowLimit {
    fn default() -> WindowLimit {
        WindowLimit::Adaptive { max_messages: 1024, max_bytes: 4 << 20 }
    }
}

/// The window begins with this, and never gets smaller.
const MIN_BYTES: usize = 64 << 10;
const MIN_MESSAGES: usize = 64;

/// A path whose queue is shorter than this may have more.
const SHORT_QUEUE: Duration = Duration::from_millis(25);

/// A path whose queue is longer than this has too much.
const LONG_QUEUE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Window {
    limit: WindowLimit,
    bytes: usize,
    /// Doubling, until the first sign of a queue or of loss.
    is_starting: bool,
    /// Not to be shrunk again before: one round trip shrinks once.
    shrunk_until: Duration,
}

impl Window {
    pub(super) fn new(limit: WindowLimit) -> Window {
        let mut window = Window { limit, bytes: MIN_BYTES, is_starting: true, shrunk_until: Duration::ZERO };
        window.set(MIN_BYTES);
        window
    }

    pub(super) fn bytes(&self) -> usize {
        match self.limit {
            WindowLimit::Adaptive { .. } => self.bytes,
            WindowLimit::None { .. } => usize::MAX,
        }
    }

    fn messages(&self) -> usize {
        match self.limit {
            WindowLimit::Adaptive { max_messages, .. } => {
                (self.bytes / 1024).clamp(MIN_MESSAGES, max_messages.max(1))
            }
            WindowLimit::None { .. } => usize::MAX,
        }
    }

    /// Whether another message may go. One always may: it can't be cut to fit.
    pub(super) fn has_room(&self, messages: usize, bytes: usize) -> bool {
        messages == 0 || (messages < self.messages() && bytes < self.bytes())
    }

    /// Whether a message is kept to be sent again.
    pub(super) fn records(&self, messages: usize, bytes: usize) -> bool {
        match self.limit {
            WindowLimit::Adaptive { .. } => true,
            WindowLimit::None { recorded_messages, recorded_bytes } => {
                messages < recorded_messages && bytes < recorded_bytes
            }
        }
    }

    /// Messages were acknowledged while `messages` and `bytes` were unacknowledged, those included.
    pub(super) fn acknowledged(
        &mut self,
        now: Duration,
        acked: usize,
        used: (usize, usize),
        trip: &RoundTrip,
    ) {
        // A window that was not used up says nothing about a larger one.
        let is_used = used.1 * 2 >= self.bytes || used.0 * 2 >= self.messages();
        let queue = trip.smoothed().saturating_sub(trip.shortest());
        if queue > LONG_QUEUE + trip.shortest() {
            self.shrink(now, trip, 7, 8);
        } else if queue < SHORT_QUEUE + trip.shortest() / 4 {
            if is_used {
                // Slowly is still an eighth of a window in a round trip: what it guards against is mild.
                self.set(self.bytes + if self.is_starting { acked } else { acked / 8 });
            }
        } else {
            self.is_starting = false;
        }
    }

    /// A message was lost, or seems so.
    pub(super) fn lost(&mut self, now: Duration, trip: &RoundTrip) {
        self.shrink(now, trip, 7, 10);
    }

    fn shrink(&mut self, now: Duration, trip: &RoundTrip, share: usize, of: usize) {
        self.is_starting = false;
        if now >= self.shrunk_until {
            self.shrunk_until = now + trip.smoothed();
            self.set(self.bytes / of * share);
        }
    }

    fn set(&mut self, bytes: usize) {
        let WindowLimit::Adaptive { max_bytes, .. } = self.limit else { return };
        self.bytes = bytes.max(MIN_BYTES).min(max_bytes.max(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A path of `rate` bytes a millisecond and `delay`, kept full for a while.
    fn settled(rate: usize, delay: Duration) -> usize {
        let mut window = Window::new(WindowLimit::default());
        let mut trip = RoundTrip::default();
        let mut now = Duration::ZERO;
        for _ in 0..2000 {
            let queued = window.bytes().saturating_sub(rate * delay.as_millis() as usize);
            let sample = delay + MS * u32::try_from(queued / rate).unwrap();
            now += sample / 8;
            trip.sample(now, sample);
            window.acknowledged(now, window.bytes() / 8, (0, window.bytes()), &trip);
        }
        window.bytes()
    }

    #[test]
    fn it_grows_to_what_the_path_carries_and_no_further() {
        assert_eq!(settled(100_000, MS), 4 << 20, "a fast path gets the largest window");
        assert_eq!(settled(100_000, MS * 100), 4 << 20, "so does a long one");
        let narrow = settled(1000, MS * 20);
        assert!((MIN_BYTES..250_000).contains(&narrow), "1 MB/s at 20 ms: a queue of 25 to 220 ms: {narrow}");
    }

    #[test]
    fn it_shrinks_once_in_a_round_trip_and_not_to_nothing() {
        let mut window = Window::new(WindowLimit::default());
        let mut trip = RoundTrip::default();
        trip.sample(MS, MS * 10);
        window.set(1 << 20);
        window.lost(MS, &trip);
        window.lost(MS * 2, &trip);
        assert_eq!(window.bytes(), (1 << 20) / 10 * 7);
        for n in 1..100 {
            window.lost(MS * 20 * n, &trip);
        }
        assert_eq!(window.bytes(), MIN_BYTES);
    }

    #[test]
    fn an_idle_window_stays() {
        let mut window = Window::new(WindowLimit::default());
        window.acknowledged(MS, 1, (1, 1), &RoundTrip::default());
        assert_eq!(window.bytes(), MIN_BYTES);
        assert!(window.has_room(0, 0) && !window.has_room(1024, 0) && !window.has_room(1, MIN_BYTES));
        let open = Window::new(WindowLimit::None { recorded_messages: 2, recorded_bytes: 100 });
        assert!(open.has_room(1_000_000, 1 << 40) && open.records(1, 99) && !open.records(2, 0));
    }
}
