//! The harness of the fuzz targets: rounds of nonsense, each with its seed, for as long as is wanted.
//!
//! `core`, `session` and `sim` include this file by its path: a package for it would be one more that every build resolves.

use std::cell::Cell;
use std::io::Write as _;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::SmallRng;

/// More than any target holds at a time; less than what millions of inputs would come to if something of each stayed.
const MOST_GROWTH_KIB: u64 = 64 << 10;

/// A round takes less than a second; on a machine that is busy with others it takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

thread_local! {
    /// Inputs that were made for the target of this thread.
    static INPUTS: Cell<u64> = const { Cell::new(0) };
}

/// A number in the environment.
pub(crate) fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Counts an input.
pub(crate) fn made() {
    INPUTS.set(INPUTS.get() + 1);
}

/// Runs rounds of a target until the time is over; each has its seed.
pub(crate) fn rounds(name: &str, round: impl FnMut(&mut SmallRng)) {
    rounds_of(name, 0, round);
}

/// The same until there were so many inputs as well.
pub(crate) fn rounds_of(name: &str, inputs: u64, mut round: impl FnMut(&mut SmallRng)) {
    let (begun, time) = (Instant::now(), Duration::from_secs(number("HERDER_FUZZ_SECONDS").unwrap_or(2)));
    let mut seed = number("HERDER_FUZZ_SEED").unwrap_or(0);
    let (mut warm, mut count) = (None, 0_u64);
    let beat = watch(name);
    while begun.elapsed() < time || INPUTS.get() < inputs {
        let _nobody_watches_any_more = beat.send(seed);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            round(&mut SmallRng::seed_from_u64(seed));
        }));
        assert!(result.is_ok(), "HERDER_FUZZ_SEED={seed}");
        (seed, count) = (seed + 1, count + 1);
        if begun.elapsed() > time / 2 {
            warm = warm.or_else(memory_kib);
        }
    }
    let growth = memory_kib().zip(warm).map_or(0, |(now, warm)| now.saturating_sub(warm));
    let (inputs, seconds) = (INPUTS.get(), begun.elapsed().as_secs_f64());
    println!("{name}: {count} rounds, {inputs} inputs in {seconds:.1} s, {growth} KiB more");
    assert!(growth < MOST_GROWTH_KIB, "{name} has grown by {growth} KiB");
}

/// Ends the process when a round does not end: nothing else could, and the seed would not be known.
fn watch(name: &str) -> std::sync::mpsc::Sender<u64> {
    let (beat, beats) = channel();
    let name = name.to_owned();
    std::thread::spawn(move || {
        let mut seed = 0;
        loop {
            match beats.recv_timeout(PATIENCE) {
                Ok(begun) => seed = begun,
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    // Past the test's own capture, which dies with the process.
                    let _ = writeln!(std::io::stderr(), "{name} hangs: HERDER_FUZZ_SEED={seed}");
                    std::process::abort();
                }
            }
        }
    });
    beat
}

/// What this process holds, where the system says it.
fn memory_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}
