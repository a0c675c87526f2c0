//! The way of frames in one direction, with what happens to them there.

use crate::draw::Draw;
use crate::sessions::faults::{FrameFate, LaneFaults};
use crate::sessions::record::Meter;
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::time::Duration;

/// Longest that a frame waits to be overtaken.
const PATIENCE: Duration = Duration::from_millis(40);
/// Frames and bytes on their way before whoever sends has to wait.
const FRAMES: usize = 512;
const BYTES: usize = 1 << 20;

/// A frame that others are to overtake.
#[derive(Debug)]
struct Held {
    frame: Bytes,
    overtakers: u32,
    until: Duration,
}

/// Frames in one direction.
#[derive(Debug)]
pub(crate) struct Lane {
    name: &'static str,
    faults: LaneFaults,
    has_faults: bool,
    draw: Draw,
    /// Each with when it comes out at the earliest.
    queue: VecDeque<(Duration, Bytes)>,
    bytes: usize,
    held: Vec<Held>,
}

impl Lane {
    /// A lane named `up` or `down`.
    pub(crate) fn new(name: &'static str, faults: LaneFaults, draw: Draw) -> Lane {
        let has_faults = !faults.is_none();
        Lane {
            name,
            faults,
            has_faults,
            draw: draw.text(name),
            queue: VecDeque::new(),
            bytes: 0,
            held: Vec::new(),
        }
    }

    pub(crate) fn set_faults(&mut self, faults: LaneFaults) {
        self.has_faults = !faults.is_none();
        self.faults = faults;
    }

    /// True where a frame more may come in.
    pub(crate) fn has_room(&self) -> bool {
        self.queue.len() < FRAMES && self.bytes < BYTES
    }

    fn put(&mut self, due: Duration, frame: Bytes) {
        self.bytes += frame.len();
        self.queue.push_back((due, frame));
    }

    /// A frame comes in.
    pub(crate) fn push(&mut self, frame: Bytes, now: Duration, meter: &Meter) {
        if !self.has_faults {
            return self.put(Duration::ZERO, frame);
        }
        let fate = self.faults.decide(&mut self.draw, frame.len());
        let what = match fate {
            FrameFate::Pass => "",
            FrameFate::Drop => "drop",
            FrameFate::Duplicate => "duplicate",
            FrameFate::Reorder(_) => "reorder",
            FrameFate::Delay(_) => "delay",
            FrameFate::Truncate(_) => "truncate",
            FrameFate::Corrupt(..) => "corrupt",
        };
        if !what.is_empty() {
            meter.fault(&format!("{} {what}", self.name));
        }
        match fate {
            FrameFate::Pass => self.put(Duration::ZERO, frame),
            FrameFate::Drop => {}
            FrameFate::Duplicate => {
                self.put(Duration::ZERO, frame.clone());
                self.put(Duration::ZERO, frame);
            }
            FrameFate::Reorder(overtakers) => {
                self.held.push(Held { frame, overtakers: overtakers + 1, until: now + PATIENCE });
            }
            FrameFate::Delay(milliseconds) => self.put(now + Duration::from_millis(milliseconds), frame),
            FrameFate::Truncate(length) => self.put(Duration::ZERO, frame.slice(..length.min(frame.len()))),
            FrameFate::Corrupt(position, with) => {
                let mut changed = BytesMut::from(&frame[..]);
                if let Some(byte) = changed.get_mut(position) {
                    *byte ^= with;
                }
                self.put(Duration::ZERO, changed.freeze());
            }
        }
        for held in &mut self.held {
            held.overtakers = held.overtakers.saturating_sub(1);
        }
        self.let_go(now);
    }

    /// Frames that were overtaken by enough, or for long enough, go on.
    fn let_go(&mut self, now: Duration) {
        let mut waiting = std::mem::take(&mut self.held);
        waiting.retain(|held| {
            let goes_on = held.overtakers == 0 || held.until <= now;
            if goes_on {
                self.put(Duration::ZERO, held.frame.clone());
            }
            !goes_on
        });
        self.held = waiting;
    }

    /// The next frame that comes out by now.
    pub(crate) fn pop(&mut self, now: Duration) -> Option<Bytes> {
        if !self.held.is_empty() {
            self.let_go(now);
        }
        let (_, frame) = self.queue.pop_front_if(|(due, _)| *due <= now)?;
        self.bytes -= frame.len();
        Some(frame)
    }

    /// When something comes out that does not yet.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let first = self.queue.front().map(|(due, _)| *due);
        first.into_iter().chain(self.held.iter().map(|held| held.until)).min()
    }

    /// Everything on the way is lost.
    pub(crate) fn clear(&mut self) {
        self.queue.clear();
        self.held.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(faults: LaneFaults) -> Lane {
        Lane::new("up", faults, Draw::new(5))
    }

    fn out(lane: &mut Lane, now: Duration) -> Vec<u8> {
        std::iter::from_fn(|| lane.pop(now)).map(|frame| frame[0]).collect()
    }

    #[test]
    fn frames_pass_in_order() {
        let (mut lane, meter) = (lane(LaneFaults::default()), Meter::default());
        for number in 0..5 {
            lane.push(Bytes::from(vec![number]), Duration::ZERO, &meter);
        }
        assert_eq!(out(&mut lane, Duration::ZERO), [0, 1, 2, 3, 4]);
        assert_eq!(lane.deadline(), None);
        for _ in 0..FRAMES {
            assert!(lane.has_room());
            lane.push(Bytes::from_static(&[0]), Duration::ZERO, &meter);
        }
        assert!(!lane.has_room());
    }

    #[test]
    fn each_fault_does_what_it_says() {
        let meter = Meter::default();
        let one = |faults: LaneFaults, count: u8| {
            let mut lane = lane(faults);
            (0..count).for_each(|number| lane.push(Bytes::from(vec![number; 9]), Duration::ZERO, &meter));
            lane
        };
        assert!(
            out(&mut one(LaneFaults { drop: 1.0, ..LaneFaults::default() }, 3), Duration::ZERO).is_empty()
        );
        assert_eq!(
            out(&mut one(LaneFaults { duplicate: 1.0, ..LaneFaults::default() }, 2), Duration::ZERO),
            [0, 0, 1, 1]
        );
        let mut late = one(LaneFaults { delay: 1.0, delay_ms: 30, ..LaneFaults::default() }, 2);
        assert!(late.pop(Duration::from_millis(29)).is_none());
        assert_eq!(late.deadline(), Some(Duration::from_millis(30)));
        assert_eq!(out(&mut late, Duration::from_millis(30)), [0, 1]);
        let cut = one(LaneFaults { truncate: 1.0, ..LaneFaults::default() }, 1).pop(Duration::ZERO).unwrap();
        assert!(cut.len() < 9);
        let changed =
            one(LaneFaults { corrupt: 1.0, ..LaneFaults::default() }, 1).pop(Duration::ZERO).unwrap();
        assert_eq!(changed.iter().filter(|byte| **byte != 0).count(), 1);
        let mut mixed = one(LaneFaults { reorder: 0.3, ..LaneFaults::default() }, 200);
        let order = out(&mut mixed, PATIENCE);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert!(order != sorted && sorted == (0..200).collect::<Vec<u8>>());
        assert!(meter.notes().faults["up reorder"] > 30);
    }

    #[test]
    fn a_frame_that_nobody_overtakes_goes_on() {
        let (mut lane, meter) =
            (lane(LaneFaults { reorder: 1.0, ..LaneFaults::default() }), Meter::default());
        lane.push(Bytes::from_static(&[7]), Duration::ZERO, &meter);
        assert!(lane.pop(Duration::ZERO).is_none());
        assert_eq!(lane.deadline(), Some(PATIENCE));
        assert_eq!(out(&mut lane, PATIENCE), [7]);
    }
}
