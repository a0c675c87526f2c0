//! What agents upload: standard output and standard error of each plugin, when it ended, where there is any.
//!
//! Nothing is kept: an object is looked up by its key, and made again when somebody reads it.

use crate::clock::At;
use crate::content::Content;
use crate::service::ssm::answers::{Printed, printed};
use crate::service::ssm::command::Command;
use crate::service::ssm::engine::Invocation;
use crate::service::ssm::noted;
use crate::spec::Spec;
use crate::world::{Region, World};
use serde_json::Value;

/// A command whose output goes to a bucket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Upload<'a> {
    spec: &'a Spec,
    region: &'a Region,
    command: &'a Command,
    /// What was uploaded until then is there.
    now: At,
}

/// An object: what is in it, and when it came.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) content: Content,
    pub(crate) at: At,
}

/// The part of the keys of a command's objects that they have in common, with the slash at its end;
/// `None` where the command's output goes nowhere.
pub(crate) fn key_base(command: &Command) -> Option<(&str, String)> {
    let text = |key: &str| command.echoed.get(key).and_then(Value::as_str).unwrap_or_default();
    let (bucket, prefix) = (text("OutputS3BucketName"), text("OutputS3KeyPrefix").trim_matches('/'));
    let slash = if prefix.is_empty() { "" } else { "/" };
    (!bucket.is_empty()).then(|| (bucket, format!("{prefix}{slash}{}/", command.id)))
}

/// What follows the node's id in a key, up to the stream's name: colons are left out.
pub(crate) fn plugin_path(command: &Command) -> String {
    let plugin = command.plugin.replace(':', "");
    format!("{plugin}/0.{plugin}")
}

/// Every command whose output goes to a bucket that takes it.
pub(super) fn all<'a>(world: &'a World, spec: &'a Spec, bucket: &str, now: At) -> Vec<Upload<'a>> {
    if world.store.bucket(bucket).is_none_or(|bucket| bucket.refuses_nodes) {
        return Vec::new();
    }
    // Nothing is seen before it is there.
    let now = now.plus_seconds(-spec.switches.late_objects / spec.speed);
    let mut uploads = Vec::new();
    for region in world.regions.values() {
        let commands = region.commands_until(now);
        let commands = commands.filter(|one| key_base(one).is_some_and(|(to, _)| to == bucket));
        uploads.extend(commands.map(|command| Upload { spec, region, command, now }));
    }
    uploads
}

impl<'a> Upload<'a> {
    /// The keys that there may be under a prefix and after a key, with what they would be read from.
    pub(super) fn keys(
        self,
        (prefix, after): (&str, &str),
    ) -> Vec<(String, (Upload<'a>, &'a Invocation, bool))> {
        let Some((_, base)) = key_base(self.command) else { return Vec::new() };
        if !base.starts_with(prefix) && !prefix.starts_with(&base) {
            return Vec::new();
        }
        let path = plugin_path(self.command);
        let mut keys = Vec::new();
        for invocation in self.command.invocations.iter().filter(|one| self.is_there(one)) {
            let Some(node) = self.region.fleet.at(invocation.draft.node) else { continue };
            for (stream, is_error) in [("stderr", true), ("stdout", false)] {
                let key = format!("{base}{}/{path}/{stream}", node.id);
                if key.starts_with(prefix) && key.as_str() > after {
                    keys.push((key, (self, invocation, is_error)));
                }
            }
        }
        keys
    }

    /// The object of a key, where there is one.
    pub(super) fn find(self, key: &str) -> Option<Found> {
        let (_, base) = key_base(self.command)?;
        let (id, path) = key.strip_prefix(&base)?.split_once('/')?;
        let stream = path.strip_prefix(&plugin_path(self.command))?;
        let is_error = match stream {
            "/stdout" => false,
            "/stderr" => true,
            _ => return None,
        };
        let node = self.region.fleet.get(id)?;
        let mut invocations = self.command.invocations.iter();
        let invocation = invocations.find(|one| one.draft.node == node.index && self.is_there(one))?;
        self.read(invocation, is_error)
    }

    /// Whether the node has uploaded its output, and may.
    fn is_there(self, invocation: &Invocation) -> bool {
        let may = self.region.fleet.at(invocation.draft.node).is_some_and(|node| !node.health.no_uploads);
        may && invocation.has_result(self.now)
    }

    /// A stream of an invocation; an empty one has no object.
    pub(super) fn read(self, invocation: &Invocation, is_error: bool) -> Option<Found> {
        let content = stream((self.spec, self.region), self.command, invocation, is_error)?;
        (content.length() > 0).then_some(Found { content, at: invocation.finished_at })
    }
}

/// What an invocation printed to one of its streams, in full.
pub(crate) fn stream(
    (spec, region): (&Spec, &Region),
    command: &Command,
    invocation: &Invocation,
    is_error: bool,
) -> Option<Content> {
    let node = region.fleet.at(invocation.draft.node)?;
    let order = region.order(spec, command);
    let Printed { stdout, stderr } = printed(order, node, invocation.draft.occurrence, invocation.started_at);
    Some(if is_error { Content::Bytes(noted(spec, invocation, stderr)) } else { stdout })
}
