//! [`Context`]: whose nodes a command line is about, told from settings, environment and AWS's configuration files alone.

use std::path::PathBuf;

use super::cache::{Place, hash};
use crate::settings::{Environment, Setting, Settings, Source};

/// Variables that say where AWS is.
const ENDPOINTS: [&str; 4] =
    ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SSM", "AWS_ENDPOINT_URL_EC2", "AWS_ENDPOINT_URL_STS"];

/// AWS's two configuration files.
pub(super) struct AwsFiles {
    config: String,
    credentials: String,
}

impl AwsFiles {
    pub(super) fn read(environment: &Environment) -> AwsFiles {
        let read = |variable: &str, name: &str| {
            let path = environment
                .get(variable)
                .map(PathBuf::from)
                .or_else(|| Some(PathBuf::from(environment.get("HOME")?).join(".aws").join(name)));
            path.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default()
        };
        AwsFiles {
            config: read("AWS_CONFIG_FILE", "config"),
            credentials: read("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
        }
    }

    /// Every profile, each once.
    pub(super) fn profiles(&self) -> Vec<String> {
        let of_config = sections(&self.config).filter_map(|name| match name {
            "default" => Some(name),
            name => name.strip_prefix("profile ").map(str::trim),
        });
        let names = of_config.chain(sections(&self.credentials));
        names.map(str::to_owned).collect::<std::collections::BTreeSet<_>>().into_iter().collect()
    }

    /// A profile's value in the configuration file.
    fn of_config(&self, profile: &str, key: &str) -> Option<&str> {
        let section = if profile == "default" { profile.to_owned() } else { format!("profile {profile}") };
        value(&self.config, &section, key)
    }
}

fn header(line: &str) -> Option<&str> {
    Some(line.trim().strip_prefix('[')?.split(']').next()?.trim())
}

fn sections(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(header)
}

fn value<'a>(text: &'a str, section: &str, key: &str) -> Option<&'a str> {
    let mut lines = text.lines().skip_while(|line| header(line) != Some(section)).skip(1);
    let mut own = lines.by_ref().take_while(|line| header(line).is_none());
    own.find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim().eq_ignore_ascii_case(key)).then(|| value.trim())
    })
}

/// Whose nodes.
pub(super) struct Context {
    /// Everything that could make it another account's, the region excepted.
    parts: Vec<String>,
    has_accounts: bool,
    endpoint: String,
    /// The regions that are asked for; none: wherever it came to before.
    regions: Vec<String>,
}

impl Context {
    pub(super) fn new(settings: &Settings, environment: &Environment) -> Context {
        Context::with(settings, environment, &AwsFiles::read(environment))
    }

    pub(super) fn with(settings: &Settings, environment: &Environment, files: &AwsFiles) -> Context {
        // A simulator in the process takes no notice of what was configured for an account.
        let is_sim = settings.sim.is_some();
        let text = |setting: &Option<Setting<String>>| {
            let counts = setting.as_ref().filter(|s| !is_sim || s.source == Source::Flag);
            counts.map(|setting| setting.value.clone()).unwrap_or_default()
        };
        let (account, role) = (text(&settings.account), text(&settings.assume_role));
        let mut parts = vec![account.clone(), role];
        let mut region = text(&settings.region);
        let mut endpoint = String::new();
        if let Some(sim) = &settings.sim {
            endpoint = format!("sim:{}", sim.value);
            parts.push(endpoint.clone());
        } else {
            let variable = |name: &str| environment.get(name).unwrap_or_default().to_owned();
            let asked = settings.profile.as_ref().map(|p| p.value.clone());
            let named = asked.clone().or_else(|| {
                ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]
                    .iter()
                    .find_map(|n| environment.get(n).map(str::to_owned))
            });
            let profile = named.clone().unwrap_or_else(|| "default".to_owned());
            // Keys in the environment count unless herder was told a profile.
            let key = environment.get("AWS_ACCESS_KEY_ID").filter(|_| asked.is_none());
            let key = key.or_else(|| value(&files.credentials, &profile, "aws_access_key_id"));
            parts.extend(ENDPOINTS.map(variable));
            parts.push(profile.clone());
            parts.push(key.map(owner).unwrap_or_default());
            // A role or an account that is configured anew makes it another's.
            parts.push(files.config.clone());
            if let Some(url) = ENDPOINTS.iter().find_map(|name| environment.get(name)) {
                url.clone_into(&mut endpoint);
            }
            if region.is_empty() {
                let configured = || files.of_config(&profile, "region");
                let usual = environment.get("AWS_REGION").or_else(|| environment.get("AWS_DEFAULT_REGION"));
                region = usual.or_else(configured).unwrap_or_default().to_owned();
            }
        }
        let regions = match region.as_str() {
            "" | "all" => Vec::new(),
            list => list.split(',').map(|r| r.trim().to_owned()).collect(),
        };
        Context { parts, has_accounts: !account.is_empty(), endpoint, regions }
    }

    /// The name it is kept under.
    pub(super) fn key(&self) -> u64 {
        hash(&self.parts.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Whether its credentials lead into one account.
    pub(super) fn has_one_account(&self) -> bool {
        !self.has_accounts
    }

    /// Whether a place is among those that are asked for.
    pub(super) fn includes(&self, place: &Place) -> bool {
        self.regions.is_empty() || self.regions.contains(&place.region)
    }

    /// Whether a place is on the same AWS.
    pub(super) fn is_same_aws(&self, place: &Place) -> bool {
        self.endpoint == place.endpoint
    }
}

/// Whose an access key is: its first ten characters behind the prefix hold the account's number (base 32), so that keys which
/// change every hour stay the same owner's. The result is never read as a number.
fn owner(key: &str) -> String {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => Some(u64::from(c - b'A')),
        b'2'..=b'7' => Some(u64::from(c - b'2' + 26)),
        _ => None,
    };
    let digits = key.as_bytes().get(4..14).filter(|_| key.len() == 20);
    let bits = digits.and_then(|d| d.iter().try_fold(0_u64, |bits, c| Some(bits << 5 | digit(*c)?)));
    match bits {
        // 50 bits: 48 of six bytes, of which the account has 40 behind the first bit.
        Some(bits) => format!("{:x}", (bits >> 2) & 0x7fff_ffff_ff80),
        None => key.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::GlobalArgs;
    use crate::settings::ConfigFile;

    const CONFIG: &str = "[default]\nregion = eu-west-1\n[profile prod]\nrole_arn=arn\n  region = us-east-2\n[sso-session x]\n";

    fn files() -> AwsFiles {
        AwsFiles {
            config: CONFIG.to_owned(),
            credentials: "[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\n[ci]\n".to_owned(),
        }
    }

    fn context(args: &GlobalArgs, variables: &[(&str, &str)]) -> Context {
        let mut all = vec![("HOME", "/nowhere")];
        all.extend(variables);
        let environment = Environment::new(all.iter().map(|(n, v)| ((*n).into(), (*v).into())));
        Context::with(
            &Settings::new(args, &environment, ConfigFile::absent(&environment)).unwrap(),
            &environment,
            &files(),
        )
    }

    #[test]
    fn profiles_of_both_files() {
        assert_eq!(files().profiles(), ["ci", "default", "prod"]);
        assert_eq!(files().of_config("prod", "region"), Some("us-east-2"));
        assert_eq!(files().of_config("ci", "region"), None);
    }

    #[test]
    fn whatever_could_be_another_account_is_another_context() {
        let none = GlobalArgs::default();
        let with = |change: fn(&mut GlobalArgs)| {
            let mut args = GlobalArgs::default();
            change(&mut args);
            args
        };
        let contexts = [
            context(&none, &[]),
            context(&none, &[("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")]),
            context(&none, &[("AWS_PROFILE", "prod")]),
            context(&none, &[("AWS_ACCESS_KEY_ID", "ASIAQ3EGRIEXAMPLE123")]),
            context(&with(|a| a.account = Some("111122223333".into())), &[]),
            context(&with(|a| a.assume_role = Some("Ops".into())), &[]),
            context(&with(|a| a.sim = Some("200".into())), &[]),
            context(&with(|a| a.sim = Some("201".into())), &[]),
        ];
        let keys: std::collections::BTreeSet<u64> = contexts.iter().map(Context::key).collect();
        assert_eq!(keys.len(), contexts.len());
        // A region is another part of the same account.
        let other = with(|a| a.region = Some("us-east-2".into()));
        assert_eq!(context(&other, &[]).key(), contexts[0].key());
        // A rehearsal is nobody's account.
        let profile = with(|a| a.sim = Some("200".into()));
        assert_eq!(context(&profile, &[("AWS_PROFILE", "prod")]).key(), contexts[6].key());
    }

    #[test]
    fn the_region_is_the_flags_or_the_usual_one() {
        let place = |region: &str| Place {
            endpoint: String::new(),
            account: "1".to_owned(),
            region: region.to_owned(),
        };
        let none = GlobalArgs::default();
        assert!(context(&none, &[]).includes(&place("eu-west-1")));
        assert!(!context(&none, &[]).includes(&place("us-east-2")));
        assert!(context(&none, &[("AWS_PROFILE", "prod")]).includes(&place("us-east-2")));
        let all = GlobalArgs { region: Some("all".to_owned()), ..GlobalArgs::default() };
        assert!(context(&all, &[]).includes(&place("us-east-2")));
    }

    #[test]
    fn keys_of_one_account_are_one_owners() {
        // The number of 555555555555 begins both.
        assert_eq!(owner("ASIAYCUX7R5R7AAAAAAA"), owner("ASIAYCUX7R5RYZZZZZZZ"));
        assert_ne!(owner("ASIAYCUX7R5R7AAAAAAA"), owner("ASIAZDUX7R5R7AAAAAAA"));
        assert_eq!(owner("short"), "short");
    }
}
