//! The documents that nodes can run: a few of AWS's own, and a scenario's.

use super::Ssm;
use super::session_documents::{self, SessionForm};
use crate::scenario::DocumentRule;
use crate::spec::Spec;
use crate::wire::ApiError;
use crate::wire::validate::{Checked, Pattern};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// A document's parameter.
#[derive(Debug, Clone)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) is_list: bool,
    pub(crate) description: String,
    pub(crate) default: Option<String>,
    pub(crate) allowed: Vec<String>,
    pub(crate) pattern: Option<&'static Pattern>,
}

/// A document: of type Command, or of type Session where it has a form of one.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) name: String,
    pub(crate) owner: &'static str,
    pub(crate) description: String,
    pub(crate) platforms: Vec<String>,
    pub(crate) plugin: String,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) session: Option<SessionForm>,
}

/// `DocumentARN` in the model.
pub(crate) const NAME: Pattern = Pattern { text: "^[a-zA-Z0-9_\\-.:/]{3,128}$", fits: is_name };
/// `DocumentVersion` in the model.
pub(crate) const VERSION: Pattern =
    Pattern { text: "([$]LATEST|[$]DEFAULT|^[1-9][0-9]*$)", fits: is_version };

fn is_name(text: &str) -> bool {
    (3..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:/".contains(&byte))
}

fn is_version(text: &str) -> bool {
    matches!(text, "$LATEST" | "$DEFAULT")
        || (!text.starts_with('0') && !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn parameter(name: &str, is_list: bool, default: Option<&str>, allowed: &[&str]) -> Parameter {
    Parameter {
        name: name.to_owned(),
        is_list,
        description: String::new(),
        default: default.map(str::to_owned),
        allowed: allowed.iter().map(|value| (*value).to_owned()).collect(),
        pattern: None,
    }
}

fn shipped(
    name: &str,
    platforms: &[&str],
    plugin: &str,
    description: &str,
    parameters: Vec<Parameter>,
) -> Document {
    Document {
        name: name.to_owned(),
        owner: "Amazon",
        description: description.to_owned(),
        platforms: platforms.iter().map(|platform| (*platform).to_owned()).collect(),
        plugin: plugin.to_owned(),
        parameters,
        session: None,
    }
}

/// Every document of a simulation.
pub(crate) fn all(spec: &Spec) -> Vec<Document> {
    let mut documents = amazon();
    documents.extend(session_documents::shipped(&spec.session));
    documents.extend(spec.scenario.iter().flat_map(|scenario| &scenario.documents).map(own));
    documents
}

/// The parameters of documents that run a script.
fn script() -> Vec<Parameter> {
    vec![
        parameter("commands", true, None, &[]),
        parameter("workingDirectory", false, Some(""), &[]),
        parameter("executionTimeout", false, Some("3600"), &[]),
    ]
}

fn patch_baseline() -> Vec<Parameter> {
    vec![
        parameter("Operation", false, None, &["Scan", "Install"]),
        parameter("AssociationId", false, Some(""), &[]),
        parameter("SnapshotId", false, Some(""), &[]),
        parameter("InstallOverrideList", false, Some(""), &[]),
        parameter("BaselineOverride", false, Some(""), &[]),
        parameter("RebootOption", false, Some("RebootIfNeeded"), &["RebootIfNeeded", "NoReboot"]),
        parameter("StepTimeoutSeconds", false, Some("7200"), &[]),
    ]
}

/// A few of AWS's own.
fn amazon() -> Vec<Document> {
    let every = ["Windows", "Linux", "MacOS"];
    vec![
        shipped(
            "AWS-ConfigureAWSPackage",
            &every,
            "aws:configurePackage",
            "Install or uninstall a Distributor package",
            vec![
                parameter("action", false, None, &["Install", "Uninstall"]),
                parameter(
                    "installationType",
                    false,
                    Some("Uninstall and reinstall"),
                    &["Uninstall and reinstall", "In-place update"],
                ),
                parameter("name", false, None, &[]),
                parameter("version", false, Some(""), &[]),
                parameter("additionalArguments", false, Some("{}"), &[]),
            ],
        ),
        shipped(
            "AWS-RunPatchBaseline",
            &every,
            "aws:runShellScript",
            "Scans for or installs patches from a patch baseline",
            patch_baseline(),
        ),
        shipped(
            "AWS-RunPowerShellScript",
            &every,
            "aws:runPowerShellScript",
            "Run a PowerShell script or specify the paths to scripts to run",
            script(),
        ),
        shipped(
            "AWS-RunShellScript",
            &["Linux", "MacOS"],
            "aws:runShellScript",
            "Run a shell script or specify the commands to run",
            script(),
        ),
        shipped(
            "AWS-UpdateSSMAgent",
            &every,
            "aws:updateSsmAgent",
            "Update the Amazon SSM Agent to the latest version or specified version",
            vec![
                parameter("version", false, Some(""), &[]),
                parameter("allowDowngrade", false, Some("false"), &["true", "false"]),
            ],
        ),
    ]
}

fn own(rule: &DocumentRule) -> Document {
    let parameters = rule.parameters.iter().map(|(name, rule)| Parameter {
        name: name.clone(),
        is_list: rule.kind == "StringList",
        description: rule.description.clone(),
        default: rule.default.clone().or(if rule.required { None } else { Some(String::new()) }),
        allowed: rule.allowed.clone(),
        pattern: None,
    });
    let session = rule.session.as_ref().map(|session| SessionForm {
        kind: session.kind,
        properties: session.properties.clone().unwrap_or_default(),
        inputs: session.inputs.clone(),
    });
    Document {
        name: rule.name.clone(),
        owner: "123456789012",
        description: rule.description.clone(),
        platforms: rule.platforms.clone(),
        plugin: rule.plugin.clone(),
        parameters: parameters.collect(),
        session,
    }
}

impl Document {
    /// True where the document runs the script in its parameter `commands`.
    pub(crate) fn is_script(&self) -> bool {
        self.parameters.iter().any(|parameter| parameter.name == "commands")
    }

    /// The document's own text.
    fn content(&self) -> String {
        let parameters: Map<String, Value> = self
            .parameters
            .iter()
            .map(|parameter| {
                let mut body = json!({
                    "type": if parameter.is_list { "StringList" } else { "String" },
                    "description": parameter.description,
                });
                if let Some(default) = &parameter.default {
                    body["default"] = json!(default);
                }
                if !parameter.allowed.is_empty() {
                    body["allowedValues"] = json!(parameter.allowed);
                }
                if let Some(pattern) = parameter.pattern {
                    body["allowedPattern"] = json!(pattern.text);
                }
                (parameter.name.clone(), body)
            })
            .collect();
        if let Some(form) = &self.session {
            let document = session_documents::content(form, &self.description, parameters);
            return serde_json::to_string_pretty(&document).unwrap_or_default();
        }
        let steps = json!([{"action": self.plugin, "name": self.plugin.replace("aws:", ""), "inputs": {}}]);
        let document = json!({"schemaVersion": "2.2", "description": self.description, "parameters": parameters, "mainSteps": steps});
        serde_json::to_string_pretty(&document).unwrap_or_default()
    }

    /// As `DocumentType`.
    pub(crate) fn kind(&self) -> &'static str {
        if self.session.is_some() { "Session" } else { "Command" }
    }

    /// As `SchemaVersion`.
    fn schema(&self) -> &'static str {
        if self.session.is_some() { "1.0" } else { "2.2" }
    }

    pub(crate) fn hash(&self) -> String {
        Sha256::digest(self.content()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Checks the parameters of a call against those of the document.
    pub(crate) fn check(&self, given: &Map<String, Value>) -> Result<(), ApiError> {
        let invalid = |message: String| Err(ApiError::new("InvalidParameters", message));
        for (name, value) in given {
            let Some(parameter) = self.parameters.iter().find(|parameter| parameter.name == *name) else {
                return invalid(format!("Parameter {name} is not defined in the document {}.", self.name));
            };
            let texts: Option<Vec<&str>> =
                value.as_array().and_then(|items| items.iter().map(Value::as_str).collect());
            let Some(texts) = texts else { return Err(ApiError::bare("SerializationException")) };
            if !parameter.is_list && texts.len() != 1 {
                return invalid(format!("Parameter {name} is of type String and takes exactly one value."));
            }
            if let Some(wrong) = texts.iter().find(|text| {
                !parameter.allowed.is_empty() && !parameter.allowed.iter().any(|allowed| allowed == *text)
            }) {
                return invalid(format!(
                    "Parameter {name} has the value {wrong}; allowed values are [{}].",
                    parameter.allowed.join(", ")
                ));
            }
            if let Some(pattern) = parameter.pattern
                && let Some(wrong) = texts.iter().find(|text| !(pattern.fits)(text))
            {
                return invalid(format!(
                    "Parameter {name} has the value {wrong}, which does not match the pattern {}.",
                    pattern.text
                ));
            }
            if name == "executionTimeout" && !texts.iter().all(|text| is_execution_timeout(text)) {
                return invalid(format!("Parameter {name} has to be a number of seconds from 1 to 172800."));
            }
        }
        let missing: Vec<&str> = self
            .parameters
            .iter()
            .filter(|parameter| parameter.default.is_none() && !given.contains_key(&parameter.name))
            .map(|parameter| parameter.name.as_str())
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        invalid(format!("Required parameters are missing: [{}].", missing.join(", ")))
    }
}

/// The document's own pattern: a whole number up to two days.
fn is_execution_timeout(text: &str) -> bool {
    !text.starts_with('0') && text.parse::<u32>().is_ok_and(|seconds| (1..=172_800).contains(&seconds))
}

/// Finds a document by name or ARN, and checks the version.
pub(crate) fn find<'a>(
    documents: &'a [Document],
    name: &str,
    version: Option<&str>,
) -> Result<&'a Document, ApiError> {
    let short = if name.starts_with("arn:") { name.rsplit('/').next().unwrap_or(name) } else { name };
    let document = documents.iter().find(|document| document.name == short).ok_or_else(|| {
        ApiError::new("InvalidDocument", format!("Document with name {name} does not exist."))
    })?;
    match version {
        None | Some("$LATEST" | "$DEFAULT" | "1" | "") => Ok(document),
        Some(other) => Err(ApiError::new(
            "InvalidDocumentVersion",
            format!("Document version {other} of {name} does not exist."),
        )),
    }
}

/// `DescribeDocument`
pub(crate) fn describe(ssm: &Ssm<'_>, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let document = asked(ssm, body)?;
    let parameters: Vec<Value> = document
        .parameters
        .iter()
        .map(|parameter| {
            let mut shown = json!({
                "Name": parameter.name,
                "Type": if parameter.is_list { "StringList" } else { "String" },
                "Description": parameter.description,
            });
            if let Some(default) = &parameter.default {
                shown["DefaultValue"] = json!(default);
            }
            shown
        })
        .collect();
    Ok(json!({"Document": {
        "Hash": document.hash(), "HashType": "Sha256", "Name": document.name, "Owner": document.owner,
        "CreatedDate": 1_700_000_000, "Status": "Active", "DocumentVersion": "1", "Description": document.description,
        "Parameters": parameters, "PlatformTypes": document.platforms, "DocumentType": document.kind(), "SchemaVersion": document.schema(),
        "LatestVersion": "1", "DefaultVersion": "1", "DocumentFormat": "JSON", "Tags": [],
    }}))
}

/// `GetDocument`
pub(crate) fn get(ssm: &Ssm<'_>, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let mut checked = Checked::new(body);
    if let Some(format) = checked.string("DocumentFormat", (0, 64)) {
        checked.one_of("documentFormat", &format, &["YAML", "TEXT", "JSON"]);
    }
    checked.finish()?;
    let document = asked(ssm, body)?;
    Ok(json!({
        "Name": document.name, "CreatedDate": 1_700_000_000, "DocumentVersion": "1", "Status": "Active",
        "Content": document.content(), "DocumentType": document.kind(), "DocumentFormat": "JSON",
    }))
}

fn asked<'a>(ssm: &'a Ssm<'_>, body: &Map<String, Value>) -> Result<&'a Document, ApiError> {
    let mut checked = Checked::new(body);
    let name = checked.patterned("Name", &NAME);
    if name.is_none() {
        checked.missing("Name");
    }
    let version = checked.patterned("DocumentVersion", &VERSION);
    checked.finish()?;
    find(ssm.documents, &name.unwrap_or_default(), version.as_deref())
}

/// `ListDocuments`
pub(crate) fn list(ssm: &Ssm<'_>, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let mut checked = Checked::new(body);
    let most = checked.integer("MaxResults", (1, 50)).unwrap_or(50) as usize;
    let token = checked.string("NextToken", (0, 4096));
    let filters = checked.list("Filters", (0, 6)).cloned().unwrap_or_default();
    checked.finish()?;
    let wanted = |document: &Document| {
        filters.iter().all(|filter| {
            let values: Vec<&str> =
                filter["Values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            match filter["Key"].as_str().unwrap_or_default() {
                "Name" => values.iter().any(|value| document.name.starts_with(value)),
                "Owner" => values.iter().any(|value| {
                    *value == document.owner || (*value == "Self" && document.owner != "Amazon")
                }),
                "PlatformTypes" => {
                    values.iter().any(|value| document.platforms.iter().any(|platform| platform == value))
                }
                "DocumentType" => values.contains(&document.kind()),
                _ => true,
            }
        })
    };
    let from = super::offset(token.as_deref())?;
    let matching: Vec<&Document> = ssm.documents.iter().filter(|document| wanted(document)).collect();
    let page: Vec<Value> = matching
        .iter()
        .skip(from)
        .take(most)
        .map(|document| {
            json!({"Name": document.name, "Owner": document.owner, "PlatformTypes": document.platforms, "DocumentVersion": "1",
                   "DocumentType": document.kind(), "SchemaVersion": document.schema(), "DocumentFormat": "JSON", "Tags": [], "CreatedDate": 1_700_000_000})
        })
        .collect();
    let mut answer = json!({"DocumentIdentifiers": page});
    if from + page_len(&answer, "DocumentIdentifiers") < matching.len() {
        answer["NextToken"] = json!(super::token(from + most));
    }
    Ok(answer)
}

fn page_len(answer: &Value, key: &str) -> usize {
    answer[key].as_array().map_or(0, Vec::len)
}
