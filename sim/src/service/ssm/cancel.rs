//! `CancelCommand`: a wish, not a promise.

use super::engine::Intervention;
use super::{INSTANCE_ID, Ssm};
use crate::wire::ApiError;
use crate::wire::validate::Checked;
use serde_json::{Map, Value, json};
use std::collections::HashSet;

pub(super) fn cancel(ssm: &mut Ssm<'_>, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let mut checked = Checked::new(body);
    let id = checked.required("CommandId", (36, 36));
    let ids = checked.strings("InstanceIds", (0, 50)).unwrap_or_default();
    for id in &ids {
        checked.fits("instanceIds", id, &INSTANCE_ID);
    }
    checked.finish()?;
    let unique: HashSet<&String> = ids.iter().collect();
    if unique.len() != ids.len() {
        return Err(ApiError::bare("DuplicateInstanceId"));
    }
    let now = ssm.now;
    let nodes: Vec<Option<u32>> =
        ids.iter().map(|id| ssm.region.fleet.get(id).map(|node| node.index)).collect();
    let Some(command) = ssm.region.command_mut(&id, now) else {
        return Err(ApiError::bare("InvalidCommandId"));
    };
    let scope = if ids.is_empty() {
        None
    } else {
        let targeted: HashSet<u32> =
            command.invocations.iter().map(|invocation| invocation.draft.node).collect();
        let chosen: Option<HashSet<u32>> =
            nodes.into_iter().map(|node| node.filter(|node| targeted.contains(node))).collect();
        match chosen {
            Some(chosen) => Some(chosen),
            None => {
                return Err(ApiError::new(
                    "InvalidInstanceId",
                    "The command was not sent to one of the specified instance ids.",
                ));
            }
        }
    };
    if !command.is_finished(now) {
        command.intervene(now, Intervention::Cancel(scope));
    }
    Ok(json!({}))
}
