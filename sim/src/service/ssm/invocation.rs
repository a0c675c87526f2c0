//! `GetCommandInvocation`: one node's result, with both streams apart.

use super::answers::output;
use super::output::{STDERR_LIMIT, STDOUT_LIMIT, stream};
use super::{INSTANCE_ID, Ssm};
use crate::clock::At;
use crate::node_shell::Answer;
use crate::wire::ApiError;
use crate::wire::validate::Checked;
use serde_json::{Map, Value, json};

pub(super) fn get(ssm: &Ssm<'_>, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let mut checked = Checked::new(body);
    let command_id = checked.required("CommandId", (36, 36));
    let instance_id = checked.required("InstanceId", (1, 64));
    checked.fits("instanceId", &instance_id, &INSTANCE_ID);
    let plugin = checked.string("PluginName", (4, usize::MAX));
    checked.finish()?;
    let absent = || ApiError::bare("InvocationDoesNotExist");
    let command = ssm.region.command(&command_id, ssm.now).ok_or_else(absent)?;
    let node = ssm.region.fleet.get(&instance_id).ok_or_else(absent)?;
    let invocation =
        command.invocations.iter().find(|one| one.draft.node == node.index).ok_or_else(absent)?;
    if ssm.now < ssm.region.invocations_visible_at(command, ssm.spec.speed) || ssm.hides(invocation) {
        return Err(absent());
    }
    if plugin.as_deref().is_some_and(|plugin| plugin != command.plugin) {
        return Err(ApiError::bare("InvalidPluginName"));
    }
    let now = ssm.now;
    let answer = if invocation.has_result(now) {
        let mut printed = output(
            ssm.region.order(ssm.spec, command),
            node,
            invocation.draft.occurrence,
            invocation.started_at,
        );
        printed.stderr = super::noted(ssm.spec, invocation, printed.stderr);
        printed
    } else {
        Answer::default()
    };
    let (status, details) = invocation.status(now);
    let started = invocation.started_at <= now;
    let finished = invocation.has_result(now);
    let stamp = |at: At, there: bool| {
        if there { At(at.0.saturating_add(ssm.skew)).rfc3339_millis() } else { String::new() }
    };
    let elapsed = if finished {
        let seconds = invocation.finished_at.seconds_since(invocation.started_at).max(0.0);
        // Milliseconds, as in `PT0.262S`.
        format!("PT{}S", (seconds * 1000.0).round() / 1000.0)
    } else {
        String::new()
    };
    let urls = super::list::urls(ssm, command, &instance_id);
    Ok(json!({
        "CommandId": command.id, "InstanceId": instance_id, "Comment": command.comment,
        "DocumentName": command.document, "DocumentVersion": command.echoed.get("DocumentVersion").cloned().unwrap_or(json!("")),
        "PluginName": command.plugin, "ResponseCode": if finished { invocation.code.unwrap_or(-1) } else { -1 },
        "ExecutionStartDateTime": stamp(invocation.started_at, started), "ExecutionElapsedTime": elapsed,
        "ExecutionEndDateTime": stamp(invocation.finished_at, finished),
        "Status": status, "StatusDetails": details,
        "StandardOutputContent": stream(&answer.stdout, STDOUT_LIMIT), "StandardOutputUrl": urls.0,
        "StandardErrorContent": stream(&answer.stderr, STDERR_LIMIT), "StandardErrorUrl": urls.1,
        "CloudWatchOutputConfig": command.echoed.get("CloudWatchOutputConfig").cloned()
            .unwrap_or(json!({"CloudWatchLogGroupName": "", "CloudWatchOutputEnabled": false})),
    }))
}
