//! Flags that every command takes.

use std::path::PathBuf;

use clap::Args;

/// Flags that every command takes. `HERDER_<NAME>` sets each of them too.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// AWS profile
    #[arg(long, global = true, value_name = "NAME")]
    pub profile: Option<String>,

    /// AWS region, several of them (eu-west-1,us-east-1), or `all` that are enabled
    #[arg(long, global = true, value_name = "REGION,…|all")]
    pub region: Option<String>,

    /// Accounts to work in through --assume-role: ids, ou:ID, org
    ///
    /// Several accounts and regions are one run with one error budget; their quotas are used side by side. Your own account is used
    /// without the role where you may not assume it.
    #[arg(long, global = true, value_name = "ID,…|ou:ID|org")]
    pub account: Option<String>,

    /// Role to assume with the profile's credentials: an ARN, or a name in the caller's account or in each of --account
    #[arg(long, global = true, value_name = "NAME|ARN")]
    pub assume_role: Option<String>,

    /// Use a simulated AWS in place of the real one
    ///
    /// SPEC is a number of nodes, `@scenario.toml`, or `key=value,…`; `herder help sim` has every key. Profiles and endpoint settings
    /// are ignored: a rehearsal can't reach an account.
    #[arg(long, global = true, value_name = "SPEC", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub sim: Option<String>,

    /// Directory where runs are kept
    #[arg(long, global = true, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,

    /// Show times in UTC
    #[arg(long, global = true)]
    pub utc: bool,

    /// Take no notice of the configuration file's [defaults]: for scripts
    #[arg(long, global = true)]
    pub no_defaults: bool,

    /// Answer yes to every question
    #[arg(short = 'y', long, global = true)]
    pub yes: bool,
}
