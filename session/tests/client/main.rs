//! The client against a small service on loopback: connections that end in every way there is.

mod broker;
mod faults;
mod handshakes;
mod pressure;
