//! `herder session ssh`: ssh through a session.

use clap::Args;
use herder_core::journal::Identity;

use super::node::choose;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::failure::{Failure, Kind};
use crate::io::Io;
use crate::ops::exec::quote_sh;
use crate::scopes::OpenScope;

/// Start ssh through a session
///
/// It is your own ssh, with herder as its ProxyCommand: keys, agents and ~/.ssh/config mean what they always do. The exit code is ssh's;
/// herder's own failures are 255, as ssh's are.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  herder session ssh ubuntu@web-1
  herder session ssh web-1 -l ec2-user -L 8080:localhost:80
  herder session ssh ubuntu@web-1 -- sudo systemctl restart nginx")]
pub(super) struct SessionSshArgs {
    /// The node, with the user before an @ if need be
    #[arg(value_name = "[USER@]TARGET")]
    target: String,

    /// What ssh gets after the host: options, a command
    #[arg(value_name = "ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(super) async fn run(ctx: &Ctx, io: &Io, args: &SessionSshArgs) -> Result<Exit, Failure> {
    let (user, selector) = split(&args.target);
    let node = choose(ctx, io, selector).await?;
    let herder = std::env::current_exe()
        .map_err(|error| Failure::new(Kind::Local, "herder does not find itself").caused_by(&error))?;
    let mut command = tokio::process::Command::new("ssh");
    command.arg("-o").arg(proxy_command(&herder.to_string_lossy()));
    command.arg(match user {
        Some(user) => format!("{user}@{}", node.id),
        None => node.id.clone(),
    });
    command.args(&args.arguments);
    for (name, value) in environment(ctx, &node.open) {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    // Ctrl-C is ssh's: it ends when it wants to.
    let status = command.status().await.map_err(|error| {
        Failure::usage("ssh can't be started").caused_by(&error).hint("Install OpenSSH's client.")
    })?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(Exit::Interrupted, Exit::Remote))
}

/// The option that makes ssh go through this herder.
fn proxy_command(herder: &str) -> String {
    // A percent sign is ssh's own.
    format!("ProxyCommand={} session proxy %h %p", quote_sh(herder).replace('%', "%%"))
}

fn split(target: &str) -> (Option<&str>, &str) {
    match target.split_once('@') {
        Some((user, selector)) if !user.is_empty() && !user.contains([':', '=', ' ']) => {
            (Some(user), selector)
        }
        _ => (None, target),
    }
}

/// What herder as the ProxyCommand has to know: `HERDER_*` stands for flags, and a simulator in this process is reached as any
/// emulator is.
fn environment(ctx: &Ctx, open: &OpenScope) -> Vec<(&'static str, Option<String>)> {
    let settings = &ctx.settings;
    let Identity { account, region, .. } = open.identity.clone();
    let mut variables = vec![("HERDER_REGION", Some(region)), ("HERDER_SIM", None)];
    if settings.account.is_some() {
        // Of several the one that the node is in.
        variables.push(("HERDER_ACCOUNT", Some(account)));
    }
    for (name, setting) in
        [("HERDER_PROFILE", &settings.profile), ("HERDER_ASSUME_ROLE", &settings.assume_role)]
    {
        variables.extend(setting.as_ref().map(|setting| (name, Some(setting.value.clone()))));
    }
    if let Some(sim) = &ctx.sim {
        let endpoint = sim.endpoint();
        for name in ["AWS_PROFILE", "HERDER_PROFILE", "AWS_SESSION_TOKEN", "HTTPS_PROXY", "https_proxy"] {
            variables.push((name, None));
        }
        variables.push(("AWS_ENDPOINT_URL", Some(endpoint.url)));
        variables.push(("AWS_ACCESS_KEY_ID", Some(endpoint.access_key)));
        variables.push(("AWS_SECRET_ACCESS_KEY", Some(endpoint.secret_key)));
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ssh_takes_nothing_in_the_path_for_its_own() {
        assert_eq!(proxy_command("/usr/bin/herder"), "ProxyCommand=/usr/bin/herder session proxy %h %p");
        assert_eq!(
            proxy_command("/opt/50%h off/herder"),
            "ProxyCommand='/opt/50%%h off/herder' session proxy %h %p"
        );
    }

    #[test]
    fn the_user_stands_before_the_node() {
        assert_eq!(split("ubuntu@web-1"), (Some("ubuntu"), "web-1"));
        assert_eq!(split("web-1"), (None, "web-1"));
        assert_eq!(split("@last"), (None, "@last"));
        assert_eq!(split("tag:owner=me@example.com"), (None, "tag:owner=me@example.com"));
    }
}
