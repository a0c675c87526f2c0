//! What a session holds and takes while little happens.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::ports::{Numbers, connect};
use super::{Bench, DEFAULT_CHUNK, LARGE_CHUNK, shown};
use crate::Outcome;
use crate::bench::report::Report;

/// Where the node sends so many bytes.
const SOURCE: u16 = 7000;

/// A gigabyte waits for a reader that takes nothing, then little, and is closed upon in between; then reads on as fast as it can.
pub(super) fn behind_a_slow_reader(bench: &Bench, report: &mut Report) -> Outcome {
    let total: usize = if bench.quick { 64 << 20 } else { 1 << 30 };
    for chunk in [LARGE_CHUNK, DEFAULT_CHUNK] {
        let spec = format!("session_chunk={chunk},ports={SOURCE}:send={total}");
        let mut simulation = bench.simulation(&spec, false)?;
        let (client, address) = bench.listener(&simulation, SOURCE, chunk)?;
        sleep(Duration::from_millis(500));
        let idle = client.memory("VmRSS")?;
        client.forget_peak()?;
        let (mut stream, mut numbers) = (connect(&address)?, Numbers::default());
        numbers.read(&mut stream)?;
        sleep(Duration::from_secs(5));
        // A little now and then, and a close in between.
        let slow = Instant::now();
        let mut is_closed = false;
        while slow.elapsed() < Duration::from_secs(10) {
            numbers.read(&mut stream)?;
            if !is_closed && slow.elapsed() > Duration::from_secs(5) {
                is_closed = simulation.ask("\"bye\"")? == 1;
            }
            sleep(Duration::from_millis(20));
        }
        let waiting = client.memory("VmHWM")?;
        while numbers.read(&mut stream)? {}
        let name = format!("{} MB behind a slow reader, {} frames", total >> 20, shown(chunk));
        report.tells(&format!("{name}: memory of an idle session"), idle, "MiB");
        report.at_most(&format!("{name}: growth while it waits"), waiting - idle, 16.0, "MiB");
        report.at_most(&format!("{name}: growth to its end"), client.memory("VmHWM")? - idle, 16.0, "MiB");
        report.at_most(&format!("{name}: bytes missing"), (total - numbers.read) as f64, 0.0, "");
        let resumes = simulation.ask("sessions")?[0]["resumes"].as_f64().unwrap_or(0.0);
        report.at_least(&format!("{name}: connections resumed"), resumes, 1.0, "");
    }
    Ok(())
}

/// Processor time of a shell and of a listener that nobody uses.
pub(super) fn idle(bench: &Bench, report: &mut Report) -> Outcome {
    let seconds = if bench.quick { 5 } else { 60 };
    let simulation = bench.simulation("", false)?;
    let server = simulation.said().to_string();
    let shell = bench.process(&["shell", &server])?;
    let (listener, _address) = bench.listener(&simulation, SOURCE, DEFAULT_CHUNK)?;
    // Beginnings and prompts are over then.
    sleep(Duration::from_secs(2));
    let before = (shell.spent_exactly()?, listener.spent_exactly()?);
    sleep(Duration::from_secs(seconds));
    for (name, side, before) in [("shell", &shell, before.0), ("listener", &listener, before.1)] {
        let share = 100.0 * (side.spent_exactly()? - before) / seconds as f64;
        report.at_most(&format!("an idle {name}, of a core"), share, 0.1, "%");
    }
    Ok(())
}
