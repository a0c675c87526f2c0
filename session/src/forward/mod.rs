//! Local listeners whose connections go through a session to a port on the node, or on a host that the node reaches.
//!
//! [`ForwardSpec`] is what was asked for, [`Listener`] the open sockets, [`serve`] the work: it accepts connections and
//! carries their bytes over a [link](crate::link), with many of them at a time where the agent multiplexes. The
//! listener outlives its session: when one ends, the next connection begins another.
//!
//! ```no_run
//! # use herder_session::forward::{ForwardOptions, ForwardSpec, Listener, PortKind, PortLink, serve};
//! # use herder_session::mux::{MuxOptions, Role};
//! # use herder_session::link::{LinkSink, LinkSource};
//! # async fn example<R: LinkSource, W: LinkSink, F: Future<Output = Result<(R, W), String>>>(
//! #     begin_session: impl Fn() -> F,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let spec: ForwardSpec = "127.0.0.1:5432:db.internal:5432".parse()?;
//! let listener = Listener::open(&spec.listen).await?;
//! let dial = || async {
//!     let (source, sink) = begin_session().await?;
//!     Ok(PortLink { source, sink, kind: PortKind::Mux(MuxOptions::new(Role::Client)) })
//! };
//! let reason = serve(&listener, &ForwardOptions::default(), dial, |event| { /* show it */ }).await;
//! # Err::<(), String>(reason)?;
//! # Ok(())
//! # }
//! ```

mod connection;
mod half_close;
mod listener;
mod peer;
mod serve;
mod single;
mod spec;
#[cfg(test)]
mod tests;

use connection::Connection;
pub use half_close::Carried;
pub use listener::{ListenError, Listener};
pub use serve::{ANSWER_WITHIN, ConnectionEnd, ForwardEvent, ForwardOptions, PortKind, PortLink, serve};
pub use spec::{Bind, ForwardSpec, Listen, SpecError};
