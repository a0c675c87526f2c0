//! Local listeners whose connections go through a session to a port on the node, or on a host that the node reaches.
//!
//! [`ForwardSpec`] is what was asked for, [`Listener`] the open sockets, [`serve`] the work: it accepts connections and
//! carries their bytes over a [link](crate::link), with many of them at a time where the agent multiplexes. The
//! listener outlives its session: when one ends, the next connection begins another.

mod connection;
mod half_close;
mod listener;
mod serve;
mod single;
mod spec;
#[cfg(test)]
mod tests;

pub use connection::Connection;
pub use half_close::Carried;
pub use listener::{ListenError, Listener};
pub use serve::{ConnectionEnd, ForwardEvent, ForwardOptions, PortKind, PortLink, serve};
pub use spec::{Bind, ForwardSpec, Listen, SpecError};
