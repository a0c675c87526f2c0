//! [`Profiles`]: the configuration files, as far as herder has to know them itself.
//!
//! The SDK reads them too; what it lacks is `mfa_serial` and `ca_bundle`, and errors that say which profile is wrong.

use std::time::Duration;

use aws_config::profile::{Profile, ProfileSet};
use aws_types::os_shim_internal::{Env, Fs};

use super::error::ScopeError;
use crate::error::causes;

/// The parsed configuration and the profile in use.
#[derive(Clone, Debug)]
pub(super) struct Profiles(ProfileSet);

/// How a profile's credentials come about, outermost role first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RoleLink {
    pub(super) profile: String,
    pub(super) role_arn: String,
    pub(super) external_id: Option<String>,
    pub(super) session_name: Option<String>,
    pub(super) mfa_serial: Option<String>,
    pub(super) duration: Option<Duration>,
}

/// What stands at the end of a chain of roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ChainBase {
    /// This profile's own credentials, whichever kind.
    Profile(String),
    /// This profile's static keys.
    StaticKeys(String),
    /// `credential_source`: `Environment`, `Ec2InstanceMetadata`, `EcsContainer`.
    Source(String),
}

impl Profiles {
    /// Reads `~/.aws/config` and `~/.aws/credentials` (or where `AWS_CONFIG_FILE` and `AWS_SHARED_CREDENTIALS_FILE`
    /// point), and picks the profile given, `AWS_PROFILE`'s, or `default`.
    pub(super) async fn load(profile: Option<&str>) -> Result<Profiles, ScopeError> {
        let files = aws_runtime_files();
        let named = profile.map(|name| name.to_owned().into());
        let set = aws_config::profile::load(&Fs::real(), &Env::real(), &files, named).await;
        let set = set.map_err(|error| ScopeError::BadConfig { message: full_text(&error) })?;
        Profiles::of(set)
    }

    /// A configuration file given as text.
    #[cfg(test)]
    pub(super) async fn parsed(config: &str, profile: &str) -> Result<Profiles, ScopeError> {
        let environment = [("HOME", "/home/ada"), ("AWS_CONFIG_FILE", "/config"), ("AWS_PROFILE", profile)];
        let (fs, env) = (Fs::from_slice(&[("/config", config)]), Env::from_slice(&environment));
        let set = aws_config::profile::load(&fs, &env, &aws_runtime_files(), None).await;
        Profiles::of(set.map_err(|error| ScopeError::BadConfig { message: full_text(&error) })?)
    }

    fn of(set: ProfileSet) -> Result<Profiles, ScopeError> {
        let selected = set.selected_profile();
        if selected != "default" && set.get_profile(selected).is_none() {
            let mut known: Vec<String> = set.profiles().map(str::to_owned).collect();
            known.sort();
            return Err(ScopeError::UnknownProfile { profile: selected.to_owned(), known });
        }
        Ok(Profiles(set))
    }

    /// The profile in use.
    pub(super) fn name(&self) -> &str {
        self.0.selected_profile()
    }

    /// A setting of the profile in use.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)
    }

    /// Static keys of a profile: id, secret, token.
    pub(super) fn static_keys(&self, profile: &str) -> Option<(String, String, Option<String>)> {
        let profile = self.0.get_profile(profile)?;
        let get = |key| profile.get(key).map(str::to_owned);
        Some((get("aws_access_key_id")?, get("aws_secret_access_key")?, get("aws_session_token")))
    }

    /// Whether the credentials in use come from SSO, or from a console login.
    pub(super) fn login(&self) -> Login {
        let Ok((_, ChainBase::Profile(base))) = self.chain() else { return Login::None };
        let Some(profile) = self.0.get_profile(&base) else { return Login::None };
        if profile.get("sso_session").or(profile.get("sso_start_url")).is_some() {
            Login::Sso(base)
        } else if profile.get("login_session").is_some() {
            Login::Console(base)
        } else {
            Login::None
        }
    }

    /// The roles that lead to the credentials in use, the last to be assumed first, and what they start from.
    pub(super) fn chain(&self) -> Result<(Vec<RoleLink>, ChainBase), ScopeError> {
        let wrong = |message: String| ScopeError::BadConfig { message };
        let mut links: Vec<RoleLink> = Vec::new();
        let mut name = self.name().to_owned();
        loop {
            let Some(profile) = self.0.get_profile(&name) else {
                if links.is_empty() {
                    return Ok((links, ChainBase::Profile(name)));
                }
                return Err(wrong(format!(
                    "profile `{name}`, which is named as source_profile, doesn't exist"
                )));
            };
            let keys = || self.static_keys(&name).is_some();
            let Some(link) = role_link(profile).filter(|_| links.is_empty() || !keys()) else {
                return Ok((links, ChainBase::Profile(name)));
            };
            if links.iter().any(|seen| seen.profile == name) {
                return Err(wrong(format!("the source_profile of `{name}` leads back to it")));
            }
            links.push(link);
            match (profile.get("source_profile"), profile.get("credential_source")) {
                (Some(source), None) if source == name => return Ok((links, ChainBase::StaticKeys(name))),
                (Some(source), None) => name = source.to_owned(),
                (None, Some(source)) => return Ok((links, ChainBase::Source(source.to_owned()))),
                (Some(_), Some(_)) => {
                    return Err(wrong(format!(
                        "profile `{name}` has both source_profile and credential_source"
                    )));
                }
                (None, None) => {
                    return Err(wrong(format!("profile `{name}` has role_arn, but no source_profile")));
                }
            }
        }
    }
}

/// Where renewing the credentials begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Login {
    /// With `aws sso login` for this profile.
    Sso(String),
    /// With `aws login` for this profile.
    Console(String),
    /// Nowhere that herder knows.
    None,
}

fn role_link(profile: &Profile) -> Option<RoleLink> {
    // A web identity token is a start, not a link.
    if profile.get("web_identity_token_file").is_some() {
        return None;
    }
    let get = |key| profile.get(key).map(str::to_owned);
    Some(RoleLink {
        profile: profile.name().to_owned(),
        role_arn: get("role_arn")?,
        external_id: get("external_id"),
        session_name: get("role_session_name"),
        mfa_serial: get("mfa_serial"),
        duration: get("duration_seconds").and_then(|text| Some(Duration::from_secs(text.parse().ok()?))),
    })
}

#[expect(
    deprecated,
    reason = "the type moved to a crate that herder doesn't name; the alias is the way to it"
)]
fn aws_runtime_files() -> aws_config::profile::profile_file::ProfileFiles {
    aws_config::profile::profile_file::ProfileFiles::default()
}

/// An error with its causes.
pub(super) fn full_text(error: &(dyn std::error::Error + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    for error in causes(error) {
        let text = error.to_string();
        if !texts.iter().any(|known| known.contains(&text)) {
            texts.push(text);
        }
    }
    texts.join(": ")
}

#[cfg(test)]
mod tests;
