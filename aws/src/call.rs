//! [`Call`]: what is being asked, for limits and for messages.

/// One call, described.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// IAM's prefix of the service: `ssm`.
    pub(crate) service: &'static str,
    /// AWS's operation name: `SendCommand`.
    pub(crate) api: &'static str,
    /// Whether it changes something.
    pub(crate) mutates: bool,
    /// What it is about, to stand after the API's name: `of AWS-RunShellScript to 50 nodes`. May be empty.
    pub(crate) object: String,
}

impl Call {
    pub(crate) fn read(service: &'static str, api: &'static str, object: impl Into<String>) -> Call {
        Call { service, api, mutates: false, object: object.into() }
    }

    pub(crate) fn change(service: &'static str, api: &'static str, object: impl Into<String>) -> Call {
        Call { service, api, mutates: true, object: object.into() }
    }
}

/// `1 node`, `50 nodes`.
pub(crate) fn count(n: usize, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}
