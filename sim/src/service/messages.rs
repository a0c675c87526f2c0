//! The older way of commands to agents (`ec2messages`): agents ask for messages here, beside their control channel.

use crate::wire::ApiError;
use crate::wire::validate::Checked;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// The operations that are simulated: no other gets to [`answer`].
pub(crate) const OPERATIONS: &[&str] = &["GetMessages"];

/// How long an answer without messages is held back. Agents ask again at once, and give up after a minute.
pub(crate) const WAIT: Duration = Duration::from_secs(20);

/// Answers an operation; `None` for one that is not simulated.
pub(crate) fn answer(api: &str, body: &Map<String, Value>) -> Option<Result<Value, ApiError>> {
    (api == "GetMessages").then(|| messages(body))
}

/// There never are any: commands do not reach real agents.
fn messages(body: &Map<String, Value>) -> Result<Value, ApiError> {
    let mut checked = Checked::new(body);
    let destination = checked.required("Destination", (10, 256));
    let request = checked.required("MessagesRequestId", (16, 256));
    checked.finish()?;
    Ok(json!({"Destination": destination, "MessagesRequestId": request, "Messages": []}))
}
