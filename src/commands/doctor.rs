//! `herder doctor`: is everything there that commands need, and if not, what to do.

use clap::Args;

use super::{say_simulated, while_drawn, write_list, write_out, written};
use crate::args::ListArgs;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::io::Io;
use crate::ops::doctor::{Doctored, Finding, Status, examine, partition, policy};
use crate::render::{Column, FindingLine, Format, write_findings};

/// Check credentials, region, clock, permissions, directories and the terminal; exits 1 if something fails
///
/// Permissions are tried with calls that only read, about things that don't exist; those that would change something are named and
/// not tried. Nothing is changed. The policy of --policy allows every node: narrow its resources, and add documents of your own.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  herder doctor
  herder doctor exec --region eu-west-1,us-east-1
  herder doctor --json | jq -r '.[] | select(.status != \"ok\") | .hint'
  herder doctor --policy exec session > policy.json")]
pub(crate) struct DoctorArgs {
    /// Commands whose permissions are looked at; every one unless given
    #[arg(value_name = "COMMAND", value_enum)]
    commands: Vec<Doctored>,

    /// Print the IAM policy that these commands need, and look at nothing
    #[arg(long, conflicts_with_all = ["output", "json", "jsonl", "columns", "sort"])]
    policy: bool,

    #[command(flatten)]
    list: ListArgs,
}

impl DoctorArgs {
    /// Whether AWS is asked at all.
    pub(crate) fn uses_aws(&self) -> bool {
        !self.policy
    }
}

const COLUMNS: [Column; 5] = [
    Column::usual("status"),
    Column::usual("check"),
    Column::usual("scope"),
    Column::usual("message"),
    Column::usual("hint"),
];

pub(crate) async fn run(ctx: &Ctx, io: &Io, args: &DoctorArgs) -> Result<Exit, Failure> {
    let mut commands = if args.commands.is_empty() { Doctored::ALL.to_vec() } else { args.commands.clone() };
    commands.sort();
    commands.dedup();
    if args.policy {
        let named = ctx.settings.region.as_ref().map(|setting| setting.value.as_str());
        let region = named.or_else(|| ctx.environment.get("AWS_REGION")).unwrap_or_default();
        let text = format!("{:#}\n", policy(&commands, partition(region)));
        return write_out(io, text.as_bytes());
    }
    let findings = while_drawn(io, || "looking…".to_owned(), examine(ctx, io, &commands)).await?;
    let options = args.list.options(ctx);
    let exit = if options.format == Format::Auto && io.stdout_style().is_tty {
        let exit =
            written(write_findings(io, &lines(&findings).iter().map(Line::shown).collect::<Vec<_>>()))?;
        say_simulated(io, options.format);
        exit
    } else {
        write_list(io, &COLUMNS, &options, &findings)?
    };
    let is_bad = findings.iter().any(|finding| finding.status == Status::Fail);
    Ok(if is_bad { Exit::Failed } else { exit })
}

/// A finding with its scope in front of what was found.
struct Line<'a> {
    finding: &'a Finding,
    message: String,
}

impl Line<'_> {
    fn shown(&self) -> FindingLine<'_> {
        FindingLine {
            status: self.finding.status.as_str(),
            check: self.finding.check,
            message: &self.message,
            hint: self.finding.hint.as_deref(),
        }
    }
}

fn lines(findings: &[Finding]) -> Vec<Line<'_>> {
    let message = |finding: &Finding| match &finding.scope {
        Some(scope) => format!("{scope}: {}", finding.message),
        None => finding.message.clone(),
    };
    findings.iter().map(|finding| Line { finding, message: message(finding) }).collect()
}
