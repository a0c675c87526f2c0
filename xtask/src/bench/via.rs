//! herder's own fan-out beside the service's, and whether `--via auto` chooses the faster.

use super::report::Report;
use super::{Bench, Measured, Reader};
use crate::Outcome;
use crate::serve::Simulator;

/// Nodes, sends and other calls a second.
struct Quotas {
    nodes: u64,
    sends: f64,
    rest: f64,
}

/// The default quotas, and those where one call is scarce.
const TABLE: [Quotas; 6] = [
    Quotas { nodes: 10_000, sends: 10.0, rest: 10.0 },
    Quotas { nodes: 10_000, sends: 1.0, rest: 10.0 },
    Quotas { nodes: 2_000, sends: 0.5, rest: 10.0 },
    Quotas { nodes: 2_000, sends: 3.0, rest: 10.0 },
    Quotas { nodes: 2_000, sends: 3.0, rest: 3.0 },
    Quotas { nodes: 200, sends: 0.5, rest: 10.0 },
];
/// A choice between times that are nearer to each other than this is as good either way.
const ALIKE: f64 = 1.15;

/// Both ways over the table of quotas, and what `auto` chooses once the rates are learned.
pub(crate) fn compare(bench: &Bench, report: &mut Report, is_quick: bool) -> Outcome {
    println!("==> herder's own fan-out beside the service's");
    let mut wrong = 0.0;
    for Quotas { nodes, sends, rest } in TABLE {
        let nodes = if is_quick { nodes / 10 } else { nodes };
        let spec = format!(
            "nodes={nodes},seed={},windows=0,hybrid=0,duration=quick,rate={rest},send_rate={sends}",
            bench.seed
        );
        let row = format!("via: {nodes} nodes, {sends}/s sends, {rest}/s others");
        let simulator = Simulator::start(&bench.herder, &spec)?;
        // One home for all three: the choice is made with the rates that the first two learned.
        let run = |via: &str, dry: &[&str]| -> Outcome<Measured> {
            let flags = ["exec", "-t", "all", "--yes", "-c", "100%", "--json", "--via", via];
            let arguments = [&flags[..], dry, &["--", "whoami"]].concat();
            bench.herder_at_home("via", &simulator, Reader::File, &arguments)
        };
        bench.clear("via");
        let mut seconds = [0.0; 2];
        for (via, seconds) in ["client", "service"].into_iter().zip(&mut seconds) {
            let measured = run(via, &[])?;
            let document = measured.document()?;
            let all = document["tally"]["ok"].as_u64() == Some(nodes) && measured.exit == 0;
            report.at_most(&format!("{row}: {via}, not ok"), f64::from(u8::from(!all)), 0.0, "");
            report.tells(&format!("{row}: {via}"), measured.seconds, "s");
            *seconds = measured.seconds;
        }
        let said = run("auto", &["--dry-run"])?.said();
        let chosen =
            match (said.contains("herder goes over the targets"), said.contains("the service goes over")) {
                (true, false) => 0,
                (false, true) => 1,
                _ => return Err(format!("--via auto doesn't say what it chose: {said}")),
            };
        println!("    {row}: auto chooses {}", ["client", "service"][chosen]);
        report.tells(&format!("{row}: auto's choice takes"), seconds[chosen], "s");
        wrong += f64::from(u8::from(seconds[chosen] > ALIKE * seconds[1 - chosen]));
    }
    report.at_most("via: wrong choices of auto", wrong, 0.0, "");
    Ok(())
}
