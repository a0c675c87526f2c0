//! Session documents: AWS's own, the account's preferences, and what a document and parameters make of a session.

use super::documents::{Document, Parameter};
use crate::sessions::Kind;
use crate::sessions::options::SessionOptions;
use crate::wire::ApiError;
use crate::wire::validate::Pattern;
use serde_json::{Map, Value, json};

/// The document of the account's preferences, which a session without a document has.
pub(crate) const PREFERENCES: &str = "SSM-SessionManagerRunShell";

/// What is special about a session document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SessionForm {
    pub(crate) kind: Kind,
    /// What the agent gets, with `{{ name }}` for parameters.
    pub(crate) properties: Value,
    /// Preferences; `None` is those of the account.
    pub(crate) inputs: Option<Value>,
}

const PORT: Pattern = Pattern {
    text: "^([1-9]|[1-9][0-9]{1,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$",
    fits: |text| is_port(text) && text != "0",
};
const LOCAL_PORT: Pattern = Pattern {
    text: "^([0-9]|[1-9][0-9]{1,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$",
    fits: is_port,
};
const HOST: Pattern = Pattern {
    text: "^[^,$^&\\(\\)!;'\\\"<>\\`{}\\[\\]\\|#=]{3,}$",
    fits: |text| {
        text.chars().count() >= 3 && !text.contains(|letter| ",$^&()!;'\"<>`{}[]|#=".contains(letter))
    },
};
const PREFIX: Pattern = Pattern {
    text: "^[0-9a-zA-Z\\r\\n_:-]{0,30}$",
    fits: |text| {
        text.len() <= 30
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"\r\n_:-".contains(&byte))
    },
};

fn is_port(text: &str) -> bool {
    (text == "0" || !text.starts_with('0'))
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && text.parse::<u16>().is_ok()
}

fn text(name: &str, description: &str, default: Option<&str>) -> Parameter {
    Parameter {
        name: name.to_owned(),
        is_list: false,
        description: description.to_owned(),
        default: default.map(str::to_owned),
        allowed: Vec::new(),
        pattern: None,
    }
}

fn patterned(parameter: Parameter, pattern: &'static Pattern) -> Parameter {
    Parameter { pattern: Some(pattern), ..parameter }
}

fn document(name: &str, description: &str, parameters: Vec<Parameter>, form: SessionForm) -> Document {
    Document {
        name: name.to_owned(),
        owner: "Amazon",
        description: description.to_owned(),
        platforms: ["Windows", "Linux", "MacOS"].map(str::to_owned).to_vec(),
        plugin: String::new(),
        parameters,
        session: Some(form),
    }
}

fn form(kind: Kind, properties: Value) -> SessionForm {
    SessionForm { kind, properties, inputs: None }
}

/// Every platform has the same properties.
fn everywhere(shell: &Value) -> Value {
    json!({"windows": shell, "linux": shell, "macos": shell})
}

/// AWS's own, and the account's preferences.
pub(crate) fn shipped(options: &SessionOptions) -> Vec<Document> {
    let port = || {
        patterned(text("portNumber", "(Optional) Port number of the server on the node", Some("80")), &PORT)
    };
    let local = || {
        let parameter = text(
            "localPortNumber",
            "(Optional) Port number on the local machine; 0 picks an open one",
            Some("0"),
        );
        patterned(parameter, &LOCAL_PORT)
    };
    let command = || text("command", "(Required) Command to run on the node", None);
    let ssh_port = patterned(
        text("portNumber", "(Optional) Port number of the SSH server on the node", Some("22")),
        &PORT,
    );
    let host =
        patterned(text("host", "(Optional) Name or address of the destination", Some("localhost")), &HOST);
    let mut separate = text(
        "separateOutputStream",
        "(Optional) Keep standard output and standard error apart",
        Some("false"),
    );
    separate.allowed = vec!["true".to_owned(), "false".to_owned()];
    let prefix = |name: &str| {
        patterned(text(name, "(Optional) Goes before each piece of the stream", Some("")), &PREFIX)
    };
    let forwarding = json!({"portNumber": "{{ portNumber }}", "type": "LocalPortForwarding", "localPortNumber": "{{ localPortNumber }}"});
    let mut remote = forwarding.clone();
    remote["host"] = json!("{{ host }}");
    let plain = everywhere(&json!({"commands": "{{ command }}", "runAsElevated": false}));
    let apart = everywhere(&json!({
        "commands": "{{ command }}", "runAsElevated": false, "separateOutputStream": "{{ separateOutputStream }}",
        "stdOutSeparatorPrefix": "{{ stdOutSeparatorPrefix }}", "stdErrSeparatorPrefix": "{{ stdErrSeparatorPrefix }}",
    }));
    let exec = vec![command(), separate, prefix("stdOutSeparatorPrefix"), prefix("stdErrSeparatorPrefix")];
    let mut preferences = document(
        PREFERENCES,
        "Document to hold regional settings for Session Manager",
        Vec::new(),
        form(Kind::StandardStream, Value::Null),
    );
    preferences.owner = crate::credentials::ACCOUNT;
    if let Some(form) = &mut preferences.session {
        form.inputs = Some(inputs(options));
    }
    vec![
        document(
            "AWS-StartInteractiveCommand",
            "Document to run a single interactive command on a node",
            vec![command()],
            form(Kind::InteractiveCommands, plain),
        ),
        document(
            "AWS-StartNonInteractiveCommand",
            "Document to run a single non-interactive command on a node",
            exec,
            form(Kind::NonInteractiveCommands, apart),
        ),
        document(
            "AWS-StartPortForwardingSession",
            "Document to start a port forwarding session",
            vec![port(), local()],
            form(Kind::Port, forwarding),
        ),
        document(
            "AWS-StartPortForwardingSessionToRemoteHost",
            "Document to start a port forwarding session to a remote host",
            vec![port(), local(), host],
            form(Kind::Port, remote),
        ),
        document(
            "AWS-StartSSHSession",
            "Document to start an SSH session",
            vec![ssh_port],
            form(Kind::Port, json!({"portNumber": "{{ portNumber }}"})),
        ),
        preferences,
    ]
}

/// The account's preferences as a document has them.
pub(crate) fn inputs(options: &SessionOptions) -> Value {
    json!({
        "s3BucketName": "", "s3KeyPrefix": "", "s3EncryptionEnabled": true, "cloudWatchLogGroupName": "",
        "cloudWatchEncryptionEnabled": true, "cloudWatchStreamingEnabled": false,
        "kmsKeyId": options.kms.as_deref().unwrap_or_default(),
        "idleSessionTimeout": minutes(options.idle), "maxSessionDuration": options.longest.map(minutes).unwrap_or_default(),
        "runAsEnabled": options.user != "ssm-user",
        "runAsDefaultUser": if options.user == "ssm-user" { "" } else { &options.user },
        "shellProfile": {"linux": options.profile, "windows": ""},
    })
}

fn minutes(time: std::time::Duration) -> String {
    time.as_secs().div_ceil(60).to_string()
}

/// The content of a session document.
pub(crate) fn content(form: &SessionForm, description: &str, parameters: Map<String, Value>) -> Value {
    let mut content =
        json!({"schemaVersion": "1.0", "description": description, "sessionType": form.kind.name()});
    if !parameters.is_empty() {
        content["parameters"] = Value::Object(parameters);
    }
    if !form.properties.is_null() {
        content["properties"] = form.properties.clone();
    }
    if let Some(inputs) = &form.inputs {
        content["inputs"] = inputs.clone();
    }
    content
}

/// Checks that a document starts sessions.
pub(crate) fn require(document: &Document) -> Result<&SessionForm, ApiError> {
    document.session.as_ref().ok_or_else(|| {
        let message =
            "Document type: 'Command' is not supported. Only type: 'Session' is supported in this context.";
        ApiError::new("InvalidDocument", message)
    })
}

/// Values of all parameters: given, or the document's own.
pub(crate) fn values(document: &Document, given: &Map<String, Value>) -> Map<String, Value> {
    let value = |parameter: &Parameter| {
        let given = given.get(&parameter.name).and_then(Value::as_array).and_then(|items| items.first());
        let text = given.and_then(Value::as_str).or(parameter.default.as_deref()).unwrap_or_default();
        (parameter.name.clone(), json!(text))
    };
    document.parameters.iter().map(value).collect()
}

/// A template with `{{ name }}` replaced by values.
pub(crate) fn filled(template: &Value, values: &Map<String, Value>) -> Value {
    match template {
        Value::String(text) => Value::String(substituted(text, values)),
        Value::Array(items) => items.iter().map(|item| filled(item, values)).collect(),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(name, value)| (name.clone(), filled(value, values))).collect())
        }
        other => other.clone(),
    }
}

fn substituted(text: &str, values: &Map<String, Value>) -> String {
    let mut done = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, behind)) = after.split_once("}}") else { break };
        let Some(value) = values.get(name.trim()).and_then(Value::as_str) else {
            done.push_str(before);
            done.push_str("{{");
            rest = after;
            continue;
        };
        done.push_str(before);
        done.push_str(value);
        rest = behind;
    }
    done.push_str(rest);
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_filled_once() {
        let values = json!({"command": "echo {{ portNumber }} '{{x}}'", "portNumber": "22"});
        let template =
            json!({"linux": {"commands": "{{command}}", "n": ["{{ portNumber }}", "{{ none }}", 3]}});
        assert_eq!(
            filled(&template, values.as_object().unwrap()),
            json!({"linux": {"commands": "echo {{ portNumber }} '{{x}}'", "n": ["22", "{{ none }}", 3]}})
        );
    }

    #[test]
    fn patterns_are_those_of_the_documents() {
        for (pattern, good, bad) in [
            (&PORT, ["1", "22", "65535"].as_slice(), ["0", "65536", "022", "", "-1", "8 "].as_slice()),
            (&LOCAL_PORT, &["0", "19005"], &["00", "70000", "x"]),
            (&HOST, &["db.internal", "10.0.0.1", "::1"], &["db", "a;b;c", "$(id)"]),
            (&PREFIX, &["", "OUT:\r\n", "a-b_c"], &["a b", "1234567890123456789012345678901", "é"]),
        ] {
            for text in good {
                assert!((pattern.fits)(text), "{text:?} fits {}", pattern.text);
            }
            for text in bad {
                assert!(!(pattern.fits)(text), "{text:?} does not fit {}", pattern.text);
            }
        }
    }
}
