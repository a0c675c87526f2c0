//! Documents: what a command runs.

use super::Ssm;
use crate::call::Call;
use crate::error::{CallError, CallErrorKind};

/// A document, described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its name.
    pub name: String,
    /// `Command`, `Automation`, `Session`, …
    pub document_type: Option<String>,
    /// `Active`, `Creating`, …
    pub status: Option<String>,
    /// The version that was asked for, or the default.
    pub version: Option<String>,
    /// The platforms that it runs on: `Linux`, `Windows`, `MacOS`.
    pub platforms: Vec<String>,
    /// Names of its parameters.
    pub parameters: Vec<String>,
    /// What it says about itself.
    pub description: Option<String>,
}

impl Ssm {
    /// `DescribeDocument`. `None` where there is none of this name (or version) in this scope.
    ///
    /// # Errors
    /// The call failed.
    pub async fn describe_document(
        &self,
        name: &str,
        version: Option<&str>,
    ) -> Result<Option<Document>, CallError> {
        let request =
            self.client.describe_document().name(name).set_document_version(version.map(str::to_owned));
        let call = Call::read("ssm", "DescribeDocument", format!("of {name}"));
        let answer = match self.scope.call(call, || request.clone().send()).await {
            Ok(answer) => answer,
            Err(error) if error.kind == CallErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(d) = answer.document() else { return Ok(None) };
        Ok(Some(Document {
            name: d.name().unwrap_or(name).to_owned(),
            document_type: d.document_type().map(|t| t.as_str().to_owned()),
            status: d.status().map(|s| s.as_str().to_owned()),
            version: d.document_version().map(str::to_owned),
            platforms: d.platform_types().iter().map(|p| p.as_str().to_owned()).collect(),
            parameters: d.parameters().iter().filter_map(|p| p.name().map(str::to_owned)).collect(),
            description: d.description().map(str::to_owned),
        }))
    }
}
