//! herder's only door to AWS. The SDK stays behind it: public signatures name only this package's, `std`'s,
//! `herder-core`'s and `jiff`'s types.
//!
//! [`Scope`] is one account and region with its credentials; [`ssm::Ssm`], [`ec2::Ec2`], [`elbv2::Elbv2`] and the others are
//! the services in it. Every call goes through [`Meter`], which waits for the quota and repeats what is safe to repeat;
//! the SDK's own retries are off. SDK errors become [`CallError`] in one place.
//!
//! What changes something takes a [`Permit`](herder_core::journal::Permit), but for sessions (decision 9), and only the journal makes one:
//!
//! ```compile_fail
//! let permit = herder_core::journal::Permit { intent: 0 };
//! ```
//!
//! Does not belong here: what a call is made for (`src/ops/`), and anything that prints.

mod address;
mod call;
pub mod cloudwatch;
pub mod ec2;
pub mod elbv2;
mod environment;
mod error;
pub mod kms;
pub mod logs;
mod meter;
pub mod organizations;
pub mod resource_groups;
pub mod s3;
mod scope;
mod server_clock;
pub mod ssm;
pub mod sts;
mod times;

pub use environment::Environment;
pub use error::{CallError, CallErrorKind, Effect};
pub use meter::{ApiCount, Meter, MeterOptions, ThrottleNotice, Totals};
pub use scope::{
    AssumeRole, CredentialsSummary, FixedEndpoint, Identity, MfaPrompt, MfaQuestion, Scope, ScopeError,
    ScopeOptions, Trust, Wire,
};
pub use server_clock::ServerClock;
