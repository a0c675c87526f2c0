//! A simulated AWS on loopback, with a fleet in it: EC2, Systems Manager, Auto Scaling, Elastic Load Balancing,
//! Resource Groups, CloudWatch alarms and logs, S3, STS, KMS, Organizations and Session Manager's message gateway, as far as
//! herder uses them.
//!
//! [`serve`] starts one inside the process; the `aws` CLI, boto3 and SDKs reach it through their endpoint settings.
//! It never runs a command on the host: nodes answer from a scenario and from a table of plausible outputs.
//! Its account and keys are not real ones, and signatures are not checked.
//!
//! What is simulated is said in a [`Spec`], what goes wrong in a [`FaultSpec`] and in [`Switches`], and what nodes
//! answer in a [`Scenario`]. [`Control`] shows what really happened.
//!
//! # Spec
#![doc = include_str!("spec.md")]
//!
//! # Scenario files
#![doc = include_str!("scenario/scenario.md")]
//!
//! # Sessions
#![doc = include_str!("sessions/sessions.md")]
//!
//! # Control over HTTP
#![doc = include_str!("control_http.md")]

mod accounts;
mod agent;
mod clock;
mod content;
mod control;
mod control_http;
mod core;
mod credentials;
mod draw;
mod fault;
mod fleet;
mod gateway;
mod hold;
mod node_shell;
mod outage;
mod payload;
mod quota;
mod request_log;
mod scenario;
mod server;
mod service;
mod sessions;
mod spec;
mod switches;
mod tls;
mod truth;
mod wire;
mod world;

pub use agent::network::{PortRule, Service as PortService};
pub use control::{Control, NodeRecord};
pub use fault::{ApiFault, FaultSpec};
pub use gateway::line::SessionAct;
pub use hold::{HoldId, HoldSpec, Release, When};
pub use outage::{Down, Outage};
pub use request_log::{ApiStats, Outcome, RequestRecord};
pub use scenario::{
    AccountRule, AlarmRule, AnswerRule, BucketRule, CalendarRule, DocumentRule, FileRule, NodeRule,
    OutageRule, ParameterRule, ResourceGroupRule, Scenario, SessionRule, Setting, StateChange,
    TargetGroupRule, TargetHealthRule,
};
pub use server::{ServeOptions, Server, StartError, serve};
pub use sessions::Kind as SessionKind;
pub use sessions::faults::{FrameFaults, LaneFaults};
pub use sessions::options::{AckFlags, Paused, SessionOptions};
pub use sessions::record::{Connection, SessionRecord};
pub use spec::{Durations, Share, Spec, SpecError};
pub use switches::{StaleCounters, StatusFilter, Switches};
pub use truth::{Execution, Floor, FloorQuery, Truth, Verdict};
