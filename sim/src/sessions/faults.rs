//! What happens to frames between a client and an agent, in each direction.

use crate::draw::Draw;
use serde::{Deserialize, Serialize};

/// Faults of both directions.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FrameFaults {
    /// From clients to agents.
    pub up: LaneFaults,
    /// From agents to clients.
    pub down: LaneFaults,
    /// Seed of the draws, mixed with the session's id and the direction.
    pub seed: u64,
}

/// Faults of one direction: the share (0 to 1) of frames that each happens to.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LaneFaults {
    /// The frame vanishes.
    pub drop: f64,
    /// The frame comes twice.
    pub duplicate: f64,
    /// The frame is overtaken by up to eight later ones.
    pub reorder: f64,
    /// The frame, and with it all that follow, comes `delay_ms` later.
    pub delay: f64,
    /// How much later, in milliseconds.
    pub delay_ms: u64,
    /// The frame loses its end.
    pub truncate: f64,
    /// One byte of the frame is another one; not of the payload's type, which nothing in the protocol protects.
    pub corrupt: f64,
}

impl LaneFaults {
    /// True where nothing ever happens.
    pub(crate) fn is_none(&self) -> bool {
        [self.drop, self.duplicate, self.reorder, self.delay, self.truncate, self.corrupt]
            .iter()
            .all(|share| *share <= 0.0)
    }
}

/// What is to become of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameFate {
    Pass,
    Drop,
    Duplicate,
    /// So many later frames overtake it.
    Reorder(u32),
    Delay(u64),
    /// It keeps so many bytes.
    Truncate(usize),
    /// This byte is mixed with this (never zero).
    Corrupt(usize, u8),
}

/// Where a frame says what its payload is. A digest covers the payload only, and a number that is taken twice shows: but output that
/// says that it is standard error is as good as any.
const PAYLOAD_TYPE: std::ops::Range<usize> = 112..116;

/// Most frames that overtake another.
const OVERTAKERS: u64 = 8;

impl LaneFaults {
    /// Decides about one frame of `length` bytes.
    pub(crate) fn decide(&self, draw: &mut Draw, length: usize) -> FrameFate {
        let mut at = draw.unit();
        let mut falls_in = |share: f64| {
            let inside = at < share;
            at -= share;
            inside
        };
        if falls_in(self.drop) {
            FrameFate::Drop
        } else if falls_in(self.duplicate) {
            FrameFate::Duplicate
        } else if falls_in(self.reorder) {
            FrameFate::Reorder(1 + draw.below(OVERTAKERS) as u32)
        } else if falls_in(self.delay) {
            FrameFate::Delay(self.delay_ms)
        } else if falls_in(self.truncate) {
            FrameFate::Truncate(draw.below(length as u64) as usize)
        } else if falls_in(self.corrupt) {
            let position = draw.below(length as u64) as usize;
            let is_type = PAYLOAD_TYPE.contains(&position);
            let position = if is_type { position - PAYLOAD_TYPE.len() } else { position };
            FrameFate::Corrupt(position, 1 + draw.below(255) as u8)
        } else {
            FrameFate::Pass
        }
    }
}

impl FrameFaults {
    /// Sets `frame_drop` and the others: `5%`, `up:5%`, `up:1%+down:5%`; `frame_delay=5%@40ms`.
    pub(crate) fn set(&mut self, key: &str, value: &str) -> Result<(), &'static str> {
        if key == "frame_seed" {
            self.seed = value.parse().map_err(|_| "a whole number")?;
            return Ok(());
        }
        for part in value.split('+') {
            let (lanes, value) = match part.split_once(':') {
                Some(("up", value)) => (vec![&mut self.up], value),
                Some(("down", value)) => (vec![&mut self.down], value),
                Some(_) => return Err("a share like 5%, up:5% or up:1%+down:5%"),
                None => (vec![&mut self.up, &mut self.down], part),
            };
            for lane in lanes {
                lane.set(key, value)?;
            }
        }
        Ok(())
    }
}

impl LaneFaults {
    fn set(&mut self, key: &str, value: &str) -> Result<(), &'static str> {
        if key == "frame_delay" {
            let (portion, time) = value.split_once('@').unwrap_or(("100%", value));
            self.delay = crate::spec::share(portion)?;
            let time = crate::spec::duration(time)?;
            self.delay_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            return Ok(());
        }
        let share = match key {
            "frame_drop" => &mut self.drop,
            "frame_duplicate" => &mut self.duplicate,
            "frame_reorder" => &mut self.reorder,
            "frame_truncate" => &mut self.truncate,
            "frame_corrupt" => &mut self.corrupt,
            _ => return Err("a known fault"),
        };
        *share = crate::spec::share(value)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_are_told_apart() {
        let mut faults = FrameFaults::default();
        faults.set("frame_drop", "up:1%+down:5%").unwrap();
        faults.set("frame_delay", "10%@40ms").unwrap();
        assert_eq!((faults.up.drop, faults.down.drop), (0.01, 0.05));
        assert_eq!((faults.up.delay, faults.down.delay_ms), (0.1, 40));
        for (key, value) in [("frame_drop", "left:1%"), ("frame_drop", "2"), ("frame_delay", "1%@soon")] {
            assert!(faults.set(key, value).is_err(), "{key}={value}");
        }
    }

    #[test]
    fn shares_are_met_and_repeatable() {
        let lane = LaneFaults { drop: 0.1, duplicate: 0.05, corrupt: 0.2, ..LaneFaults::default() };
        let fates = |seed| {
            let mut draw = Draw::new(seed);
            (0..10_000).map(|_| lane.decide(&mut draw, 200)).collect::<Vec<_>>()
        };
        let count = |test: fn(&FrameFate) -> bool| fates(1).iter().filter(|fate| test(fate)).count();
        assert!((900..1100).contains(&count(|fate| *fate == FrameFate::Drop)));
        assert!((430..570).contains(&count(|fate| *fate == FrameFate::Duplicate)));
        assert!(
            (1850..2150).contains(&count(
                |fate| matches!(fate, FrameFate::Corrupt(at, with) if *at < 200 && *with > 0)
            ))
        );
        assert_eq!(fates(3), fates(3));
        let hits =
            |at: usize| fates(1).iter().any(|fate| matches!(fate, FrameFate::Corrupt(hit, _) if *hit == at));
        assert!((112..116).all(|at| !hits(at)) && hits(111) && hits(116));
        assert!(LaneFaults { delay_ms: 5, ..LaneFaults::default() }.is_none() && !lane.is_none());
    }
}
