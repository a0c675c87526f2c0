//! How people write times: durations (`90s`, `1h30m`) and instants (`-2h`, `09:30`, RFC 3339).
//!
//! Does not belong here: reading a clock. "Now" is a parameter.

mod duration;
mod instant;

pub use self::duration::{Bounds, DurationError, for_people, parse_duration, written};
pub use self::instant::{InstantError, parse_instant};
