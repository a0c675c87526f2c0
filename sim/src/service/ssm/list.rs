//! `ListCommands` and `ListCommandInvocations`: newest first, in pages.

use super::command::{Command, Summary};
use super::engine::Invocation;
use super::output::merged;
use super::{INSTANCE_ID, Ssm, answers, decoded};
use crate::clock::At;
use crate::service::s3::upload::{key_base, plugin_path};
use crate::spec::Spec;
use crate::switches::StatusFilter;
use crate::wire::ApiError;
use crate::wire::validate::Checked;
use base64::Engine as _;
use serde_json::{Map, Value, json};

/// Where a page ended: the time and order of the command, and the invocation.
type Cursor = (i64, u64, usize);

struct Query {
    command_id: Option<String>,
    instance_id: Option<String>,
    most: usize,
    after: Option<Cursor>,
    filters: Vec<(String, String)>,
    details: bool,
}

const KEYS: [&str; 5] = ["InvokedAfter", "InvokedBefore", "Status", "ExecutionStage", "DocumentName"];

fn query(body: &Map<String, Value>) -> Result<Query, ApiError> {
    let mut checked = Checked::new(body);
    let command_id = checked.string("CommandId", (36, 36));
    let instance_id = checked.patterned("InstanceId", &INSTANCE_ID);
    let most = checked.integer("MaxResults", (1, 50)).unwrap_or(50);
    let token = checked.string("NextToken", (0, 4096)).filter(|token| !token.is_empty());
    let details = checked.boolean("Details");
    let mut filters = Vec::new();
    for (number, filter) in checked.list("Filters", (1, 5)).into_iter().flatten().enumerate() {
        let text = |key: &str| filter.get(key).and_then(Value::as_str).map(str::to_owned);
        let (Some(key), Some(value)) = (text("key"), text("value")) else {
            checked.misfit();
            continue;
        };
        checked.one_of(&format!("filters.{}.member.key", number + 1), &key, &KEYS);
        if value.is_empty() || value.chars().count() > 128 {
            checked.complain(
                &format!("filters.{}.member.value", number + 1),
                &value,
                "Member must have length less than or equal to 128",
            );
        }
        filters.push((key, value));
    }
    checked.finish()?;
    let after = match token {
        None => None,
        Some(token) => Some(
            cursor(&token)
                .ok_or_else(|| ApiError::new("InvalidNextToken", "The specified token isn't valid."))?,
        ),
    };
    for (key, value) in &filters {
        if key.starts_with("Invoked") && At::parse(value).is_none() {
            return Err(ApiError::bare("InvalidFilterKey"));
        }
    }
    Ok(Query { command_id, instance_id, most: most as usize, after, filters, details })
}

fn cursor(token: &str) -> Option<Cursor> {
    let text = decoded(token)?;
    let mut parts = text.strip_prefix("c:")?.split(':');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn token((at, sequence, index): Cursor) -> String {
    base64::engine::general_purpose::STANDARD.encode(format!("c:{at}:{sequence}:{index}"))
}

impl Ssm<'_> {
    /// Whether there is no result of a node, since the command was not sent to it yet.
    pub(super) fn hides(&self, invocation: &Invocation) -> bool {
        self.spec.switches.unsent_hidden && invocation.sent_at > self.now
    }

    /// When a command was requested, as precisely as the service says.
    fn requested(&self, command: &Command) -> At {
        if self.spec.switches.coarse_times {
            command.requested_at.floor_second()
        } else {
            command.requested_at
        }
    }

    /// Commands that may be in a list, newest first.
    fn candidates(&self, query: &Query) -> Result<Vec<&Command>, ApiError> {
        if let Some(id) = &query.command_id {
            let command =
                self.region.command(id, self.now).ok_or_else(|| ApiError::bare("InvalidCommandId"))?;
            return Ok(vec![command]);
        }
        let mut commands: Vec<&Command> = self.region.commands_until(self.now).collect();
        commands.sort_by_key(|command| std::cmp::Reverse((command.requested_at, command.sequence)));
        Ok(commands)
    }

    fn was_invoked(&self, command: &Command, filters: &[(String, String)]) -> bool {
        let switches = &self.spec.switches;
        let requested = At(self.requested(command).0.saturating_add(self.skew));
        filters.iter().all(|(key, value)| match (key.as_str(), At::parse(value)) {
            ("InvokedAfter", Some(_)) if switches.ignore_invoked_after => true,
            ("InvokedAfter", Some(at)) => requested >= at,
            ("InvokedBefore", Some(at)) => requested < at,
            ("DocumentName", _) => switches.ignore_document_filter || command.document == *value,
            _ => true,
        })
    }
}

/// `ListCommands`
pub(super) fn commands(ssm: &Ssm<'_>, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let query = query(body)?;
    let node = match &query.instance_id {
        Some(id) => Some(
            ssm.region
                .fleet
                .get(id)
                .map(|node| node.index)
                .ok_or_else(|| ApiError::bare("InvalidInstanceId"))?,
        ),
        None => None,
    };
    let hidden = ssm.now.plus_seconds(-ssm.spec.switches.hidden_commands / ssm.spec.speed);
    let mut page: Vec<Value> = Vec::new();
    let mut last: Option<Cursor> = None;
    for command in ssm.candidates(&query)? {
        let here = (command.requested_at.0, command.sequence, 0);
        let wanted = (command.requested_at <= hidden || command.is_foreign)
            && query.after.is_none_or(|after| (here.0, here.1) < (after.0, after.1))
            && node.is_none_or(|node| command.invocations.iter().any(|one| one.draft.node == node))
            && ssm.was_invoked(command, &query.filters);
        if !wanted {
            continue;
        }
        let summary = command.summary(command.seen_at(ssm.now, ssm.spec.switches.stale_counters));
        if !is_in_state(ssm.spec, &summary, &query.filters) {
            continue;
        }
        if page.len() == query.most {
            return Ok(json!({"Commands": page, "NextToken": last.map(token)}));
        }
        page.push(shown_command(ssm, command, &summary));
        last = Some(here);
    }
    Ok(json!({"Commands": page}))
}

fn is_in_state(spec: &Spec, summary: &Summary, filters: &[(String, String)]) -> bool {
    filters.iter().all(|(key, value)| match key.as_str() {
        "Status" => match spec.switches.status_filter_broken {
            Some(StatusFilter::Nothing) => false,
            Some(StatusFilter::Everything) => true,
            None => summary.status == value || summary.details == value,
        },
        "ExecutionStage" => {
            let running = matches!(summary.status, "Pending" | "InProgress" | "Cancelling");
            (value == "Executing") == running
        }
        _ => true,
    })
}

/// A command as `SendCommand` and `ListCommands` show it.
pub(super) fn shown_command(ssm: &Ssm<'_>, command: &Command, summary: &Summary) -> Value {
    // Targets are counted when they are resolved, which is not yet when the command is accepted.
    let is_resolving = ssm.spec.switches.late_targets && command.limits.ramp && summary.status == "Pending";
    let count = if is_resolving { 0 } else { summary.targets };
    let mut shown = json!({
        "CommandId": command.id, "DocumentName": command.document, "DocumentVersion": "$DEFAULT", "Comment": command.comment,
        "ExpiresAfter": ssm.shown(command.expires_at), "Parameters": command.parameters,
        "InstanceIds": command.instance_ids, "Targets": [], "RequestedDateTime": ssm.shown(ssm.requested(command)),
        "Status": summary.status, "StatusDetails": summary.details, "OutputS3Region": ssm.region.name,
        "OutputS3BucketName": "", "OutputS3KeyPrefix": "",
        "MaxConcurrency": "50", "MaxErrors": "0", "TargetCount": count, "CompletedCount": summary.completed,
        "ErrorCount": summary.errors, "DeliveryTimedOutCount": summary.delivery_timed_out, "ServiceRole": "",
        "NotificationConfig": {"NotificationArn": "", "NotificationEvents": [], "NotificationType": ""},
        "CloudWatchOutputConfig": {"CloudWatchLogGroupName": "", "CloudWatchOutputEnabled": false},
        "TimeoutSeconds": command.timeout_seconds,
    });
    for (key, value) in &command.echoed {
        shown[key] = value.clone();
    }
    shown
}

/// `ListCommandInvocations`
pub(super) fn invocations(ssm: &Ssm<'_>, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let query = query(body)?;
    if query.filters.iter().any(|(key, _)| key == "ExecutionStage") {
        return Err(ApiError::bare("InvalidFilterKey"));
    }
    let node = match &query.instance_id {
        Some(id) => Some(
            ssm.region
                .fleet
                .get(id)
                .map(|node| node.index)
                .ok_or_else(|| ApiError::bare("InvalidInstanceId"))?,
        ),
        None => None,
    };
    let mut page: Vec<Value> = Vec::new();
    let mut last: Option<Cursor> = None;
    for command in ssm.candidates(&query)? {
        if ssm.now < ssm.region.invocations_visible_at(command, ssm.spec.speed)
            || !ssm.was_invoked(command, &query.filters)
        {
            continue;
        }
        for (index, invocation) in command.invocations.iter().enumerate() {
            let here = (command.requested_at.0, command.sequence, index);
            let beyond = query.after.is_none_or(|after| {
                (here.0, here.1) < (after.0, after.1)
                    || ((here.0, here.1) == (after.0, after.1) && here.2 > after.2)
            });
            if !beyond
                || node.is_some_and(|node| node != invocation.draft.node)
                || !has_status(ssm, invocation, &query.filters)
                || ssm.hides(invocation)
            {
                continue;
            }
            if page.len() == query.most {
                return Ok(json!({"CommandInvocations": page, "NextToken": last.map(token)}));
            }
            page.extend(shown_invocation(ssm, command, invocation, query.details));
            last = Some(here);
        }
    }
    Ok(json!({"CommandInvocations": page}))
}

fn has_status(ssm: &Ssm<'_>, invocation: &Invocation, filters: &[(String, String)]) -> bool {
    let (status, details) = invocation.status(ssm.now);
    filters.iter().filter(|(key, _)| key == "Status").all(|(_, value)| status == value || details == value)
}

fn shown_invocation(
    ssm: &Ssm<'_>,
    command: &Command,
    invocation: &Invocation,
    details: bool,
) -> Option<Value> {
    let node = ssm.region.fleet.at(invocation.draft.node)?;
    let (status, status_details) = invocation.status(ssm.now);
    let urls = urls(ssm, command, &node.id);
    let mut shown = json!({
        "CommandId": command.id, "InstanceId": node.id, "InstanceName": node.computer_name(), "Comment": command.comment,
        "DocumentName": command.document, "DocumentVersion": "$DEFAULT", "RequestedDateTime": ssm.shown(ssm.requested(command)),
        "Status": status, "StatusDetails": status_details, "TraceOutput": "",
        "StandardOutputUrl": urls.0, "StandardErrorUrl": urls.1, "CommandPlugins": [], "ServiceRole": "",
        "NotificationConfig": {"NotificationArn": "", "NotificationEvents": [], "NotificationType": ""},
        "CloudWatchOutputConfig": command.echoed.get("CloudWatchOutputConfig").cloned()
            .unwrap_or(json!({"CloudWatchLogGroupName": "", "CloudWatchOutputEnabled": false})),
    });
    if details && invocation.started_at <= ssm.now {
        shown["CommandPlugins"] = json!([shown_plugin(ssm, command, invocation, &urls)]);
    }
    Some(shown)
}

fn shown_plugin(ssm: &Ssm<'_>, command: &Command, invocation: &Invocation, urls: &(String, String)) -> Value {
    let (status, details) = invocation.status(ssm.now);
    let finished = invocation.has_result(ssm.now);
    let status = if matches!(status, "Cancelling" | "Delayed") { "InProgress" } else { status };
    let mut plugin = json!({
        "Name": command.plugin, "Status": status, "StatusDetails": details,
        "ResponseCode": if finished { invocation.code.unwrap_or(-1) } else { -1 },
        "ResponseStartDateTime": ssm.shown(invocation.started_at), "Output": "",
        "StandardOutputUrl": urls.0, "StandardErrorUrl": urls.1, "OutputS3Region": ssm.region.name,
        "OutputS3BucketName": command.echoed.get("OutputS3BucketName").cloned().unwrap_or(json!("")),
        "OutputS3KeyPrefix": command.echoed.get("OutputS3KeyPrefix").cloned().unwrap_or(json!("")),
    });
    if invocation.is_finished(ssm.now) {
        plugin["ResponseFinishDateTime"] = json!(ssm.shown(invocation.finished_at));
    }
    let node = ssm.region.fleet.at(invocation.draft.node);
    if let Some(node) = node.filter(|_| finished && !ssm.spec.switches.details_never) {
        let order = ssm.region.order(ssm.spec, command);
        let mut printed = answers::output(order, node, invocation.draft.occurrence, invocation.started_at);
        printed.stderr = noted(ssm.spec, invocation, printed.stderr);
        plugin["Output"] = json!(merged(&printed, ssm.spec.switches.marker_variant));
    }
    plugin
}

/// Adds what the agent writes under standard error of something that failed.
pub(crate) fn noted(spec: &Spec, invocation: &Invocation, mut stderr: Vec<u8>) -> Vec<u8> {
    let code = invocation.code.unwrap_or_default();
    if spec.switches.exit_note && !matches!(code, 0 | 168) {
        stderr.extend_from_slice(format!("failed to run commands: exit status {code}").as_bytes());
    }
    stderr
}

/// Where standard output and standard error are in S3, if the command puts them there.
pub(super) fn urls(ssm: &Ssm<'_>, command: &Command, instance_id: &str) -> (String, String) {
    let Some((bucket, base)) = key_base(command) else { return (String::new(), String::new()) };
    let path = plugin_path(command);
    let base = format!("https://s3.{}.amazonaws.com/{bucket}/{base}{instance_id}/{path}", ssm.region.name);
    (format!("{base}/stdout"), format!("{base}/stderr"))
}
