//! [`ScopeError`]: why there is no scope, or why its credentials are no good.

use crate::error::CallError;

/// What is missing or wrong, with what to do about it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ScopeError {
    /// No region anywhere.
    #[error("no region is set for profile `{profile}`")]
    NoRegion {
        /// The profile in use.
        profile: String,
    },
    /// The region can't be one.
    #[error("`{region}` is not a region's name")]
    InvalidRegion {
        /// As given.
        region: String,
    },
    /// The profile isn't in the configuration files.
    #[error("profile `{profile}` doesn't exist")]
    UnknownProfile {
        /// As given.
        profile: String,
        /// Those that exist, sorted.
        known: Vec<String>,
    },
    /// A configuration file can't be read, or says something impossible.
    #[error("the AWS configuration is wrong: {message}")]
    BadConfig {
        /// What is wrong.
        message: String,
    },
    /// No credentials anywhere.
    #[error("no credentials were found for profile `{profile}`")]
    NoCredentials {
        /// The profile in use.
        profile: String,
    },
    /// The SSO session has ended.
    #[error("the SSO session of profile `{profile}` has expired")]
    SsoExpired {
        /// The profile in use.
        profile: String,
        /// What the SDK said.
        message: String,
    },
    /// The console login has ended.
    #[error("the login session of profile `{profile}` has expired")]
    LoginExpired {
        /// The profile in use.
        profile: String,
        /// What the SDK said.
        message: String,
    },
    /// The credentials have expired and nothing renews them.
    #[error("the credentials of profile `{profile}` have expired")]
    Expired {
        /// The profile in use.
        profile: String,
    },
    /// Getting credentials failed (`credential_process`, metadata, the network).
    #[error("getting credentials for profile `{profile}` failed: {message}")]
    CredentialsFailed {
        /// The profile in use.
        profile: String,
        /// What happened.
        message: String,
    },
    /// A code is wanted and nobody can be asked.
    #[error("profile `{profile}` wants an MFA code of {serial}, and there is no terminal to ask for it")]
    MfaImpossible {
        /// The profile that names the device.
        profile: String,
        /// The device.
        serial: String,
    },
    /// The person gave none.
    #[error("no MFA code for {serial}: {message}")]
    MfaDeclined {
        /// The device.
        serial: String,
        /// Why.
        message: String,
    },
    /// A role can't be assumed.
    #[error("role `{role}` can't be assumed")]
    Role {
        /// Its ARN.
        role: String,
        /// What STS said.
        source: Box<CallError>,
    },
    /// The CA bundle can't be used.
    #[error("the CA bundle {path} can't be used: {message}")]
    CaBundle {
        /// Its path.
        path: String,
        /// What is wrong.
        message: String,
    },
    /// The proxy's URL can't be used.
    #[error("{variable} is not the URL of a proxy: {message}")]
    Proxy {
        /// The variable that names it.
        variable: String,
        /// What is wrong. Never the URL: it may hold a password.
        message: String,
    },
    /// An endpoint URL can't be used.
    #[error("{name} is not the URL of an endpoint: {message}")]
    Endpoint {
        /// The variable, or the profile's setting.
        name: String,
        /// What is wrong.
        message: String,
    },
    /// After a renewal the credentials are someone else's.
    #[error("the new credentials are of {new}, the old ones were of {old}")]
    OtherPrincipal {
        /// The ARN before.
        old: String,
        /// The ARN now.
        new: String,
    },
    /// AWS couldn't be asked.
    #[error(transparent)]
    Call(Box<CallError>),
}

impl ScopeError {
    /// Whether renewing a session or credentials is the remedy, so that a run can be paused for it.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        match self {
            ScopeError::SsoExpired { .. } | ScopeError::LoginExpired { .. } | ScopeError::Expired { .. } => {
                true
            }
            ScopeError::Role { source, .. } | ScopeError::Call(source) => {
                source.kind == crate::CallErrorKind::CredentialsExpired
            }
            ScopeError::NoRegion { .. }
            | ScopeError::InvalidRegion { .. }
            | ScopeError::UnknownProfile { .. }
            | ScopeError::BadConfig { .. }
            | ScopeError::NoCredentials { .. }
            | ScopeError::CredentialsFailed { .. }
            | ScopeError::MfaImpossible { .. }
            | ScopeError::MfaDeclined { .. }
            | ScopeError::CaBundle { .. }
            | ScopeError::Proxy { .. }
            | ScopeError::Endpoint { .. }
            | ScopeError::OtherPrincipal { .. } => false,
        }
    }

    /// What to do next, in full sentences.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        let hint = match self {
            ScopeError::NoRegion { .. } => {
                "Give one with `--region`, set AWS_REGION, or set `region` in the profile.".to_owned()
            }
            ScopeError::InvalidRegion { .. } => "Write it like `eu-central-1`.".to_owned(),
            ScopeError::UnknownProfile { known, .. } if known.is_empty() => {
                "Run `aws configure` first: there are no profiles.".to_owned()
            }
            ScopeError::UnknownProfile { known, .. } => format!("Choose one of: {}.", known.join(", ")),
            ScopeError::BadConfig { .. } => "Correct the AWS configuration file.".to_owned(),
            ScopeError::NoCredentials { profile } => format!(
                "Choose a profile with `--profile`, run `aws configure --profile {profile}`, or try herder without an account with `--sim`."
            ),
            ScopeError::SsoExpired { profile, .. } => format!("Run `aws sso login --profile {profile}`."),
            ScopeError::LoginExpired { profile, .. } => format!("Run `aws login --profile {profile}`."),
            ScopeError::Expired { profile } => format!("Renew the credentials of profile `{profile}`."),
            ScopeError::CredentialsFailed { profile, .. } => {
                format!(
                    "Run `aws configure sso` or choose another profile with `--profile` if `{profile}` is not set up; else `aws sts get-caller-identity --profile {profile}` may say more."
                )
            }
            ScopeError::MfaImpossible { .. } => {
                "Run herder in a terminal, or use a profile whose credentials need no MFA code.".to_owned()
            }
            ScopeError::MfaDeclined { .. } => "Run the command again and give the code.".to_owned(),
            ScopeError::Role { source, .. } => {
                let mut hints = source.hints();
                hints.push("Check the role's name and that its trust policy names you.".to_owned());
                return hints;
            }
            ScopeError::CaBundle { .. } => {
                "Point AWS_CA_BUNDLE (or `ca_bundle` in the profile) to a file of PEM certificates."
                    .to_owned()
            }
            ScopeError::Proxy { .. } => "Write it like `http://proxy.example.com:8080`.".to_owned(),
            ScopeError::Endpoint { .. } => {
                "Unset it to use AWS itself, or write it like `http://127.0.0.1:4566`.".to_owned()
            }
            ScopeError::OtherPrincipal { .. } => {
                "Log in as the principal that started the run, or let it end and resume it.".to_owned()
            }
            ScopeError::Call(error) => return error.hints(),
        };
        vec![hint]
    }
}
