//! End to end: the real executable against the simulated AWS.

#![expect(clippy::disallowed_methods, reason = "tests drive a real process in real time")]

mod harness;
mod terminal;

mod bad_input;
mod channels;
mod completions;
mod config;
mod crash;
mod doctor;
mod examples;
mod exec;
mod exits;
mod faults;
mod gates;
mod interrupts;
mod look;
mod nodes;
mod proxy;
mod rollout;
mod rollout_crash;
mod run_verbs;
mod runs;
mod scopes;
mod secrets;
mod session;
mod session_cp;
mod session_cp_many;
mod session_forward;
mod session_plugin;
mod session_shell;
mod switches;
mod via;
mod words;
