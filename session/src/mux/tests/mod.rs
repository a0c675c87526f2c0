//! The multiplexer: its protocol against itself, on links, and against another implementation.

mod driver;
mod machine;
mod oracle;
