//! Tasks of the herder repository.
fn main() {}
