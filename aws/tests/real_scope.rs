//! Scopes as people have them: profiles, environment, roles, MFA, endpoints. The SDK reads the environment of its process
//! by itself, so each case runs in a process of its own with exactly the environment that it needs.

#[expect(dead_code, reason = "the other tests use the rest of it")]
mod support;

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use herder_aws::ssm::CommandsQuery;
use herder_aws::{AssumeRole, Environment, Meter, MeterOptions, MfaQuestion, Scope, ScopeOptions};
use support::{Answer, Server};

const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "AKIDENV"), ("AWS_SECRET_ACCESS_KEY", "s")];
const CONFIG: &str = "
[profile keys]
region = eu-west-3
aws_access_key_id = AKIDPROFILE
aws_secret_access_key = s
[profile process]
region = eu-west-3
credential_process = echo '{\"Version\":1,\"AccessKeyId\":\"AKIDPROCESS\",\"SecretAccessKey\":\"s\"}'
[profile broken]
region = eu-west-3
credential_process = false
[profile mfa]
region = eu-west-3
role_arn = arn:aws:iam::111122223333:role/ops
source_profile = keys
mfa_serial = arn:aws:iam::111122223333:mfa/ada
[profile chained]
region = eu-west-3
role_arn = arn:aws:iam::111122223333:role/deep
source_profile = mfa
[profile sso]
region = eu-west-3
sso_session = corp
sso_account_id = 111122223333
sso_role_name = dev
[sso-session corp]
sso_start_url = https://corp.example/start
sso_region = eu-west-1
";

/// The part of a case that runs in the process with its environment. What it prints is what the case asserts on.
#[test]
#[ignore = "started by the other tests"]
#[expect(clippy::disallowed_methods, reason = "the environment is what this process was started with")]
fn child() {
    let environment: HashMap<String, String> = std::env::vars().collect();
    let get = |name: &str| environment.get(name).cloned();
    let mut options = ScopeOptions::new(Environment::from(environment.clone()));
    options.profile = get("CASE_PROFILE");
    options.region = get("CASE_REGION");
    options.assume_role = get("CASE_ROLE").map(|role| AssumeRole { role, account: None, external_id: None });
    if let Some(code) = get("CASE_MFA") {
        options.mfa = Some(Arc::new(move |question: &MfaQuestion| {
            println!("asked {} {}", question.profile, question.serial);
            Ok(code.clone())
        }));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        match Scope::open(options, Arc::new(Meter::new(MeterOptions::default()))).await {
            Err(error) => println!("error {error}\nhint {}", error.hints().join(" ")),
            Ok(scope) => {
                println!("open {} {}", scope.region(), scope.endpoint().unwrap_or("aws"));
                match scope.ssm().list_commands(&CommandsQuery::default(), None).await {
                    Ok(_) => println!("called"),
                    Err(error) => println!("error {error}\nhint {}", error.hints().join(" ")),
                }
                println!("source {}", scope.identity().await.unwrap().source.unwrap_or_default());
            }
        }
    });
}

/// Runs a case and gives what it printed.
fn case(home: &Path, variables: &[(&str, &str)]) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env_clear()
        .env("HOME", home)
        .env("PATH", "/usr/bin:/bin")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".aws")).unwrap();
    std::fs::write(home.path().join(".aws/config"), CONFIG).unwrap();
    home
}

/// Answers everything that a case asks; roles get the access key `ASIA` and their name.
fn aws() -> Server {
    Server::start(|_, request| {
        match request.api.as_str() {
        "AssumeRole" => {
            let role = if request.body.contains("role%2Fdeep") { "DEEP" } else { "OPS" };
            Answer::Xml(
                200,
                format!(
                    "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
                     <Credentials><AccessKeyId>ASIA{role}</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
                     <SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
                     </AssumeRoleResult></AssumeRoleResponse>"
                ),
            )
        }
        "GetCallerIdentity" => Answer::Xml(
            200,
            "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
             <Arn>arn:aws:iam::111122223333:user/ada</Arn><UserId>AIDA</UserId><Account>111122223333</Account>\
             </GetCallerIdentityResult></GetCallerIdentityResponse>"
                .to_owned(),
        ),
        _ => Answer::Json(200, r#"{"Commands":[]}"#),
    }
    })
}

fn key_of(server: &Server, api: &str) -> String {
    let seen = server.seen();
    let head = &seen.iter().rfind(|r| r.api == api).unwrap_or_else(|| panic!("no {api} in {seen:?}")).head;
    head.split("Credential=").nth(1).unwrap().split('/').next().unwrap().to_owned()
}

#[test]
fn what_is_missing_is_said_with_a_way_out() {
    let home = home();
    for (variables, error, hint) in [
        (
            &[("CASE_PROFILE", "prod")][..],
            "profile `prod` doesn't exist",
            "Choose one of: broken, chained, keys",
        ),
        (&[("AWS_PROFILE", "prod")], "profile `prod` doesn't exist", "Choose one of:"),
        (&KEYS, "no region is set for profile `default`", "--region"),
        (&[("AWS_REGION", "eu-west-1")], "no credentials were found for profile `default`", "--sim"),
        (
            &[("CASE_PROFILE", "sso")],
            "the SSO session of profile `sso` has expired",
            "Run `aws sso login --profile sso`.",
        ),
        (&[("CASE_PROFILE", "mfa")], "and there is no terminal to ask", "in a terminal"),
        (&[("CASE_PROFILE", "mfa"), ("CASE_MFA", " ")], "no MFA code", "give the code"),
        (
            &[("CASE_PROFILE", "broken")],
            "getting credentials for profile `broken` failed",
            "--profile broken",
        ),
        (
            &[("CASE_PROFILE", "keys"), ("AWS_CA_BUNDLE", "/nowhere.pem")],
            "the CA bundle /nowhere.pem",
            "AWS_CA_BUNDLE",
        ),
        (
            &[("CASE_PROFILE", "keys"), ("HTTPS_PROXY", "ftp://x")],
            "HTTPS_PROXY is not the URL",
            "http://proxy",
        ),
    ] {
        let printed = case(home.path(), variables);
        assert!(printed.contains(error) && printed.contains(hint), "{variables:?}: {printed}");
    }
}

#[test]
fn credentials_and_endpoints_come_from_where_the_aws_cli_takes_them() {
    let home = home();
    let server = aws();
    let url = ("AWS_ENDPOINT_URL", server.url.as_str());
    let region = ("AWS_REGION", "eu-west-1");
    for (variables, key, source) in [
        (vec![url, region, KEYS[0], KEYS[1]], "AKIDENV", "Environment"),
        // AWS_PROFILE doesn't override keys in the environment, --profile does.
        (vec![url, region, KEYS[0], KEYS[1], ("AWS_PROFILE", "keys")], "AKIDENV", "Environment"),
        (vec![url, region, KEYS[0], KEYS[1], ("CASE_PROFILE", "keys")], "AKIDPROFILE", "ProfileFile"),
        (vec![url, ("AWS_PROFILE", "process")], "AKIDPROCESS", "CredentialProcess"),
    ] {
        let printed = case(home.path(), &variables);
        assert!(printed.contains("called") && printed.contains(&format!("source {source}")), "{printed}");
        assert_eq!(key_of(&server, "ListCommands"), key);
    }
}

#[test]
fn the_services_own_endpoint_comes_first() {
    let home = home();
    let (ssm, rest) = (aws(), aws());
    let printed = case(
        home.path(),
        &[("CASE_PROFILE", "keys"), ("AWS_ENDPOINT_URL", &rest.url), ("AWS_ENDPOINT_URL_SSM", &ssm.url)],
    );
    assert!(printed.contains(&format!("open eu-west-3 {}", ssm.url)), "{printed}");
    assert_eq!((ssm.count("ListCommands"), rest.count("ListCommands")), (1, 0));
    assert!(rest.count("GetCallerIdentity") > 0);

    // The same from the profile's services section.
    let more = format!(
        "{CONFIG}\n[profile local]\nregion = eu-west-3\nservices = here\nendpoint_url = {}\naws_access_key_id = a\n\
         aws_secret_access_key = s\n[services here]\nssm =\n  endpoint_url = {}\n",
        rest.url, ssm.url
    );
    std::fs::write(home.path().join(".aws/config"), more).unwrap();
    let printed = case(home.path(), &[("CASE_PROFILE", "local")]);
    assert!(printed.contains(&format!("open eu-west-3 {}", ssm.url)), "{printed}");
    assert_eq!((ssm.count("ListCommands"), rest.count("ListCommands")), (2, 0));
}

#[test]
fn an_mfa_code_is_asked_once_and_goes_with_the_role_that_wants_it() {
    let home = home();
    let server = aws();
    let printed = case(
        home.path(),
        &[("CASE_PROFILE", "chained"), ("CASE_MFA", "123456"), ("AWS_ENDPOINT_URL", &server.url)],
    );
    assert!(printed.contains("called"), "{printed}");
    assert!(printed.contains("asked mfa arn:aws:iam::111122223333:mfa/ada"), "{printed}");
    let roles: Vec<_> = server.seen().into_iter().filter(|r| r.api == "AssumeRole").collect();
    assert!(
        roles[0].body.contains("TokenCode=123456") && roles[0].body.contains("SerialNumber="),
        "{roles:?}"
    );
    assert!(roles[0].head.contains("AKIDPROFILE") && roles[0].body.contains("role%2Fops"), "{roles:?}");
    assert!(roles[1].head.contains("ASIAOPS") && !roles[1].body.contains("TokenCode"), "{roles:?}");
    assert_eq!(key_of(&server, "ListCommands"), "ASIADEEP");
}

#[test]
fn a_role_by_name_is_in_the_account_of_the_credentials() {
    let home = home();
    let server = aws();
    let printed = case(
        home.path(),
        &[("CASE_PROFILE", "keys"), ("CASE_ROLE", "ops"), ("AWS_ENDPOINT_URL", &server.url)],
    );
    assert!(printed.contains("source role arn:aws:iam::111122223333:role/ops"), "{printed}");
    assert_eq!(key_of(&server, "ListCommands"), "ASIAOPS");
}

#[test]
fn a_proxy_is_used_unless_it_is_not_to_be() {
    let home = home();
    let (proxy, direct) = (aws(), aws());
    let variables = [("CASE_PROFILE", "keys"), ("AWS_ENDPOINT_URL", &direct.url), ("HTTP_PROXY", &proxy.url)];
    let printed = case(home.path(), &variables);
    assert!(printed.contains("called"), "{printed}");
    assert_eq!((proxy.count("ListCommands"), direct.count("ListCommands")), (1, 0));
    let [one, two, three] = variables;
    let printed = case(home.path(), &[one, two, three, ("NO_PROXY", "127.0.0.1,localhost")]);
    assert!(printed.contains("called"), "{printed}");
    assert_eq!((proxy.count("ListCommands"), direct.count("ListCommands")), (1, 1));
}
