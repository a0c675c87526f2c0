//! `herder session ssh-config`: the stanza that makes ssh, scp and rsync go through sessions.

use std::fmt::Write as _;

use clap::Args;

use crate::commands::write_out;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::io::Io;
use crate::ops::exec::quote_sh;

/// Print what makes ssh, scp and rsync go through sessions, for ~/.ssh/config
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  herder session ssh-config >> ~/.ssh/config
  herder session ssh-config 'web-*' 'db-*' --profile prod --region eu-west-1")]
pub(super) struct SessionSshConfigArgs {
    /// Hosts that it is for, as ssh's patterns
    #[arg(value_name = "PATTERN", default_values = ["i-*", "mi-*"])]
    patterns: Vec<String>,
}

pub(super) fn run(ctx: &Ctx, io: &Io, args: &SessionSshConfigArgs) -> Result<Exit, Failure> {
    if let Some(bad) = args
        .patterns
        .iter()
        .find(|p| p.is_empty() || p.contains(|c: char| c.is_whitespace() || c.is_control()))
    {
        return Err(Failure::usage(format!("{bad:?} is no pattern of ssh's")));
    }
    let settings = &ctx.settings;
    let mut command = "herder session proxy %h %p".to_owned();
    for (flag, setting) in [
        ("--profile", &settings.profile),
        ("--region", &settings.region),
        ("--account", &settings.account),
        ("--assume-role", &settings.assume_role),
    ] {
        if let Some(setting) = setting {
            // A percent sign is ssh's own.
            let _ = write!(command, " {flag} {}", quote_sh(&setting.value).replace('%', "%%"));
        }
    }
    let stanza = format!("Host {}\n  ProxyCommand {command}\n", args.patterns.join(" "));
    write_out(io, stanza.as_bytes())
}
