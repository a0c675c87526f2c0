use super::*;

async fn parsed(config: &str, profile: &str) -> Result<Profiles, ScopeError> {
    Profiles::parsed(config, profile).await
}

#[tokio::test]
async fn an_unknown_profile_is_said_with_those_that_exist() {
    let error = parsed("[default]\n[profile ops]\n[profile dev]\n", "prod").await.unwrap_err();
    assert_eq!(error.to_string(), "profile `prod` doesn't exist");
    assert_eq!(error.hints(), ["Choose one of: default, dev, ops."]);
    // `default` need not exist.
    assert_eq!(parsed("", "default").await.unwrap().name(), "default");
}

#[tokio::test]
async fn chains_of_roles_are_followed_with_their_mfa_device() {
    let config = "
[profile prod]
role_arn = arn:aws:iam::2:role/ops
source_profile = hub
duration_seconds = 900
external_id = x
[profile hub]
role_arn = arn:aws:iam::1:role/hub
source_profile = me
mfa_serial = arn:aws:iam::1:mfa/ada
role_session_name = ada
[profile me]
aws_access_key_id = AKID
aws_secret_access_key = secret
";
    let profiles = parsed(config, "prod").await.unwrap();
    let (links, base) = profiles.chain().unwrap();
    assert_eq!(base, ChainBase::Profile("me".into()));
    let names: Vec<_> = links.iter().map(|l| (l.profile.as_str(), l.mfa_serial.as_deref())).collect();
    assert_eq!(names, [("prod", None), ("hub", Some("arn:aws:iam::1:mfa/ada"))]);
    assert_eq!(
        (links[0].duration, links[0].external_id.as_deref()),
        (Some(Duration::from_secs(900)), Some("x"))
    );
    assert_eq!(links[1].session_name.as_deref(), Some("ada"));
    assert_eq!(profiles.static_keys("me").unwrap().0, "AKID");
}

#[tokio::test]
async fn a_profile_may_be_its_own_source_or_have_another_kind() {
    let own =
        "[profile me]\nrole_arn = r\nsource_profile = me\naws_access_key_id = a\naws_secret_access_key = b\n";
    assert_eq!(parsed(own, "me").await.unwrap().chain().unwrap().1, ChainBase::StaticKeys("me".into()));
    let metadata = "[profile me]\nrole_arn = r\ncredential_source = Ec2InstanceMetadata\nmfa_serial = m\n";
    let base = parsed(metadata, "me").await.unwrap().chain().unwrap().1;
    assert_eq!(base, ChainBase::Source("Ec2InstanceMetadata".into()));
    let token = "[profile me]\nrole_arn = r\nweb_identity_token_file = /t\n";
    assert_eq!(parsed(token, "me").await.unwrap().chain().unwrap().0, []);
}

#[tokio::test]
async fn wrong_chains_are_said() {
    for (config, says) in [
        (
            "[profile a]\nrole_arn = r\nsource_profile = b\n[profile b]\nrole_arn = r\nsource_profile = a\n",
            "leads back",
        ),
        ("[profile a]\nrole_arn = r\nsource_profile = b\n", "doesn't exist"),
        ("[profile a]\nrole_arn = r\n", "no source_profile"),
        ("[profile a]\nrole_arn = r\nsource_profile = b\ncredential_source = Environment\n", "both"),
    ] {
        let error = parsed(config, "a").await.unwrap().chain().unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[tokio::test]
async fn where_renewing_begins() {
    let sso = "
[profile ops]
role_arn = arn:aws:iam::2:role/ops
source_profile = corp
[profile corp]
sso_session = corp
sso_account_id = 1
sso_role_name = dev
[sso-session corp]
sso_start_url = https://corp.awsapps.com/start
sso_region = eu-west-1
[profile console]
login_session = arn:aws:iam::1:user/ada
[profile keys]
aws_access_key_id = a
aws_secret_access_key = b
";
    for (profile, login) in [
        ("ops", Login::Sso("corp".into())),
        ("corp", Login::Sso("corp".into())),
        ("console", Login::Console("console".into())),
        ("keys", Login::None),
    ] {
        assert_eq!(parsed(sso, profile).await.unwrap().login(), login, "{profile}");
    }
}
