//! The workflows. They work with core and aws, emit events, and never print.

pub(crate) mod exec;
pub(crate) mod nodes;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod targets;
