//! herder.
fn main() {}
