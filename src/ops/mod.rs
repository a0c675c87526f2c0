//! The workflows. They work with core and aws, emit events, and never print.

pub(crate) mod copies;
pub(crate) mod doctor;
pub(crate) mod exec;
pub(crate) mod groups;
pub(crate) mod guards;
pub(crate) mod nodes;
pub(crate) mod place;
pub(crate) mod preview;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod session;
pub(crate) mod targets;
