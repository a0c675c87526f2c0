//! herder.
