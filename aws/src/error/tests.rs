use super::*;

fn call() -> Call {
    Call::change("ssm", "SendCommand", "of AWS-RunShellScript to 50 nodes")
}

#[test]
fn codes_and_statuses_have_kinds() {
    use CallErrorKind::*;
    for (code, status, message, kind) in [
        (Some("ThrottlingException"), 400, "Rate exceeded", Throttled),
        (Some("RequestLimitExceeded"), 503, "", Throttled),
        (None, 429, "", Throttled),
        (Some("ExpiredTokenException"), 400, "", CredentialsExpired),
        (Some("ExpiredToken"), 403, "", CredentialsExpired),
        (Some("RequestExpired"), 400, "Request has expired.", ClockSkew),
        (Some("InvalidSignatureException"), 403, "Signature expired: 2026… is now earlier than …", ClockSkew),
        (Some("InvalidSignatureException"), 403, "Signature not yet current: …", ClockSkew),
        (Some("InvalidSignatureException"), 403, "The request signature we calculated …", CredentialsInvalid),
        (Some("UnrecognizedClientException"), 400, "", CredentialsInvalid),
        (Some("AuthFailure"), 401, "", CredentialsInvalid),
        (Some("InvalidInstanceId"), 400, "", NotFound),
        (Some("InvalidInstanceID.NotFound"), 400, "", NotFound),
        (Some("DoesNotExistException"), 400, "", NotFound),
        (Some("ValidationException"), 400, "", InvalidRequest),
        (Some("InvalidParameters"), 400, "", InvalidRequest),
        (Some("DuplicateInstanceId"), 400, "", Refused),
        (Some("InternalServerError"), 500, "", Lost),
        (Some("ServiceUnavailable"), 503, "", Lost),
        (Some("RequestTimeout"), 400, "", Lost),
        (None, 502, "", Lost),
        (None, 408, "", Lost),
        (None, 404, "", Refused),
        (Some("SomethingNew"), 400, "", Refused),
        (Some("SomethingNew"), 503, "", Lost),
    ] {
        assert_eq!(classify(&call(), code, status, message), kind, "{code:?} {status}");
    }
}

#[test]
fn the_missing_action_and_resource_are_found() {
    let parts = |message: &str| match denied(&call(), message) {
        CallErrorKind::AccessDenied { action, resource } => (action, resource),
        other => panic!("{other:?}"),
    };
    let message = "User: arn:aws:sts::1:assumed-role/a/b is not authorized to perform: iam:PassRole on resource: arn:aws:iam::1:role/x.";
    assert_eq!(parts(message), ("iam:PassRole".into(), Some("arn:aws:iam::1:role/x".into())));
    for vague in ["", "You are not authorized to perform this operation.", "perform: ", "on resource: "] {
        assert_eq!(parts(vague), ("ssm:SendCommand".into(), None), "{vague}");
    }
}

#[test]
fn codes_lose_what_stands_around_them() {
    for text in ["InvalidInstanceId", "com.amazonaws.ssm#InvalidInstanceId", "InvalidInstanceId:http://x/"] {
        assert_eq!(bare_code(text), "InvalidInstanceId");
    }
    assert_eq!(bare_code("InvalidInstanceID.NotFound"), "InvalidInstanceID.NotFound");
}

#[test]
fn only_a_lost_change_may_have_had_an_effect() {
    let lost = CallError::new(&call(), CallErrorKind::Lost, "timed out");
    assert!(lost.mutated());
    assert_eq!(lost.hints(), ["Check whether it took effect before you do it again."]);
    assert!(!CallError::new(&call(), CallErrorKind::Unreachable, "").mutated());
    assert!(!CallError::new(&Call::read("ssm", "ListCommands", ""), CallErrorKind::Lost, "").mutated());
}

#[test]
fn messages_name_the_call_and_the_object_and_keep_the_cause_apart() {
    let mut error = CallError::new(&call(), CallErrorKind::Refused, "Instance is a duplicate");
    error.code = Some("DuplicateInstanceId".into());
    assert_eq!(
        error.to_string(),
        "ssm:SendCommand of AWS-RunShellScript to 50 nodes was refused (DuplicateInstanceId)"
    );
    assert_eq!(error.source().unwrap().to_string(), "Instance is a duplicate");
    assert!(CallError::new(&call(), CallErrorKind::Refused, "").source().is_none());

    let scope = ScopeError::SsoExpired { profile: "ops".into(), message: String::new() };
    let error = CallError::from_scope(&call(), &scope);
    assert_eq!(error.kind, CallErrorKind::CredentialsExpired);
    assert_eq!(error.hints(), ["Run `aws sso login --profile ops`."]);
    assert_eq!(error.source().unwrap().to_string(), "the SSO session of profile `ops` has expired");
}
