//! Sessions, through HTTP and WebSockets: a client made of `herder-session` at one end, simulated agents at the other, or
//! an agent of the test's own.

mod agents;
mod client;
mod commands;
mod faults;
mod gateway;
mod hybrid;
mod ports;
mod shells;
