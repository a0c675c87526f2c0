//! The services: one module each.

pub(crate) mod ec2;
pub(crate) mod ssm;
pub(crate) mod sts;
