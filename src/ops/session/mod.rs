//! Sessions: starting them, and what goes in and out of each kind. The protocol is `herder-session`'s, the calls are `aws`'s; what is
//! said to people goes to whoever called.

mod control;
mod copying;
mod exec;
mod forward;
mod launch;
mod line;
mod notice;
mod proxy;
mod shell;
mod vigil;

pub(crate) use copying::{CopyNode, Refusal, copy_failure};
pub(crate) use exec::{ExecStreams, Ran, run as exec};
pub(crate) use forward::{ForwardNotice, Tunnel, Ways, forward, port_kind, unanswered};
pub(crate) use launch::{Launcher, Live, ended, failed, is_of_the_service};
pub(crate) use line::line_for;
pub(crate) use notice::Notices;
pub(crate) use proxy::{Pipe, proxy};
pub(crate) use shell::{Shell, ShellEnd, ShellOptions};
