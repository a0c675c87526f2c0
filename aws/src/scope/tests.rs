use std::collections::HashMap;

use super::*;
use crate::environment::Environment;

fn environment(pairs: &[(&str, &str)]) -> Environment {
    let map: HashMap<_, _> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Environment::from(map)
}

#[tokio::test]
async fn regions_come_from_the_option_then_the_environment_then_the_profile() {
    let with = Profiles::parsed("[default]\nregion = eu-west-3\n", "default").await.unwrap();
    let without = Profiles::parsed("[default]\n", "default").await.unwrap();
    let both: &[_] = &[("AWS_REGION", "eu-west-1"), ("AWS_DEFAULT_REGION", "eu-west-2")];
    for (option, variables, profiles, expected) in [
        (Some("eu-central-1"), both, &with, Some("eu-central-1")),
        (None, both, &with, Some("eu-west-1")),
        (None, &both[1..], &with, Some("eu-west-2")),
        (None, &[("AWS_REGION", "")], &with, Some("eu-west-3")),
        (None, &[], &without, None),
    ] {
        let mut options = ScopeOptions::new(environment(variables));
        options.region = option.map(str::to_owned);
        let resolved = resolve_region(&options, profiles);
        match expected {
            Some(region) => assert_eq!(resolved.unwrap(), region),
            None => {
                let error = resolved.unwrap_err();
                assert_eq!(error.to_string(), "no region is set for profile `default`");
                assert!(error.hints()[0].contains("--region"));
            }
        }
    }
    for wrong in ["EU-WEST-1", "eu_west_1", "eu-west-1.evil.example/", "-eu", ""] {
        let mut options = ScopeOptions::new(Environment::empty());
        options.region = Some(wrong.to_owned());
        assert!(matches!(resolve_region(&options, &with), Err(ScopeError::InvalidRegion { .. })), "{wrong}");
    }
}

#[test]
fn a_role_is_the_same_whatever_its_session() {
    let of = |account: &str, arn: &str| Identity {
        account: account.into(),
        arn: arn.into(),
        user_id: String::new(),
        source: None,
    };
    let ops = of("1", "arn:aws:sts::1:assumed-role/ops/ada");
    assert_eq!(
        of("1", "arn:aws:sts::1:assumed-role/Admin/alice").principal(),
        "arn:aws:sts::1:assumed-role/Admin"
    );
    assert_eq!(of("1", "arn:aws:iam::1:user/alice").principal(), "arn:aws:iam::1:user/alice");
    assert!(ops.is_same_principal(&of("1", "arn:aws:sts::1:assumed-role/ops/herder")));
    assert!(!ops.is_same_principal(&of("1", "arn:aws:sts::1:assumed-role/dev/ada")));
    let user = of("1", "arn:aws:iam::1:user/team/ada");
    assert!(!user.is_same_principal(&of("1", "arn:aws:iam::1:user/team/bob")));
    assert!(!user.is_same_principal(&of("2", "arn:aws:iam::1:user/team/ada")));
}
