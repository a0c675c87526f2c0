//! Which regions and accounts are asked for: `--region` and `--account`, read.

use super::each_once;
use crate::failure::Failure;
use crate::settings::Setting;

/// Which regions are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Regions {
    /// The profile's, or the environment's.
    Usual,
    /// These.
    Named(Vec<String>),
    /// Every one that is enabled for the account.
    All,
}

impl Regions {
    pub(super) fn parse(setting: Option<&Setting<String>>) -> Result<Regions, Failure> {
        let Some(setting) = setting else { return Ok(Regions::Usual) };
        if setting.value == "all" {
            return Ok(Regions::All);
        }
        let names: Vec<String> = setting.value.split(',').map(|r| r.trim().to_owned()).collect();
        if names.iter().any(|name| name.is_empty() || name == "all") {
            let message = format!("--region {} is neither a list of regions nor `all`", setting.value);
            return Err(Failure::usage(message).hint("Write --region eu-west-1,us-east-1, or --region all."));
        }
        Ok(Regions::Named(each_once(names.iter())))
    }
}

/// Which accounts are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Accounts {
    /// The caller's own, or the one of the role.
    Usual,
    /// Those of `--account`.
    Asked(Vec<AccountRef>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AccountRef {
    Id(String),
    Unit(String),
    Organization,
}

impl Accounts {
    pub(super) fn parse(setting: Option<&Setting<String>>) -> Result<Accounts, Failure> {
        let Some(setting) = setting else { return Ok(Accounts::Usual) };
        setting
            .value
            .split(',')
            .map(|word| AccountRef::parse(word.trim()))
            .collect::<Result<_, _>>()
            .map(Accounts::Asked)
    }
}

impl AccountRef {
    fn parse(word: &str) -> Result<AccountRef, Failure> {
        let is_unit = |unit: &str| {
            (unit.starts_with("ou-") || unit.starts_with("r-"))
                && unit.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        };
        if word == "org" {
            Ok(AccountRef::Organization)
        } else if word.len() == 12 && word.chars().all(|c| c.is_ascii_digit()) {
            Ok(AccountRef::Id(word.to_owned()))
        } else if let Some(unit) = word.strip_prefix("ou:").filter(|unit| is_unit(unit)) {
            Ok(AccountRef::Unit(unit.to_owned()))
        } else {
            Err(Failure::usage(format!("`{word}` is not an account"))
                .hint("Give ids of twelve digits, ou:ou-abcd-12345678, or org."))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Kind;
    use crate::settings::Source;

    fn given(value: &str) -> Option<Setting<String>> {
        Some(Setting { value: value.to_owned(), source: Source::Flag })
    }

    #[test]
    fn regions_are_a_list_or_all() {
        let parse = |value: &str| Regions::parse(given(value).as_ref());
        assert_eq!(Regions::parse(None).unwrap(), Regions::Usual);
        assert_eq!(parse("all").unwrap(), Regions::All);
        let two = Regions::Named(vec!["eu-west-1".to_owned(), "us-east-1".to_owned()]);
        assert_eq!(parse("eu-west-1, us-east-1,eu-west-1").unwrap(), two);
        for wrong in ["", "eu-west-1,", "all,eu-west-1", ","] {
            assert_eq!(parse(wrong).unwrap_err().kind, Kind::Usage, "{wrong}");
        }
    }

    #[test]
    fn accounts_are_ids_units_or_the_organization() {
        let parse = |value: &str| Accounts::parse(given(value).as_ref());
        let several = vec![
            AccountRef::Id("111122223333".to_owned()),
            AccountRef::Unit("ou-sim1-workloads".to_owned()),
            AccountRef::Organization,
        ];
        assert_eq!(parse("111122223333,ou:ou-sim1-workloads,org").unwrap(), Accounts::Asked(several));
        for wrong in ["", "11112222333", "11112222333x", "ou:workloads", "org,", "prod"] {
            assert_eq!(parse(wrong).unwrap_err().kind, Kind::Usage, "{wrong}");
        }
    }
}
