//! Starting, stopping, rebooting and terminating instances: states that change over time.

use super::{Ec2, check_ids};
use crate::fleet::node::State;
use crate::wire::form::Form;
use crate::wire::{ApiError, Reply, ec2_query};

/// Seconds from pending to running, from stopping to stopped, from shutting-down to terminated.
const START_SECONDS: f64 = 8.0;
const STOP_SECONDS: f64 = 20.0;
const TERMINATE_SECONDS: f64 = 15.0;

pub(super) fn change(ec2: &mut Ec2<'_>, api: &str, form: &Form) -> Result<Reply, ApiError> {
    let ids = form.list("InstanceId");
    if ids.is_empty() {
        return Err(ApiError::new("MissingParameter", "The request must contain the parameter InstanceId"));
    }
    check_ids(ec2, &ids)?;
    let refused = ids.iter().find_map(|id| {
        let state = ec2.region.fleet.get(id)?.state(ec2.now);
        (!is_allowed(api, state)).then_some((id, state))
    });
    if let Some((id, state)) = refused {
        let verb = match api {
            "StartInstances" => "started",
            "StopInstances" => "stopped",
            _ => "rebooted",
        };
        let message =
            format!("The instance '{id}' is not in a state from which it can be {verb}. ({})", state.name());
        return Err(ApiError::new("IncorrectInstanceState", message));
    }
    let changes: Vec<(String, State, State)> = ids.iter().filter_map(|id| one(ec2, api, id)).collect();
    Ok(ec2_query::ok(api, ec2.request_id, |xml| {
        if api == "RebootInstances" {
            return xml.text("return", "true");
        }
        xml.element("instancesSet", |xml| {
            for (id, before, after) in &changes {
                xml.element("item", |xml| {
                    xml.text("instanceId", id);
                    for (name, state) in [("currentState", after), ("previousState", before)] {
                        xml.element(name, |xml| {
                            xml.text("code", &state.code().to_string());
                            xml.text("name", state.name());
                        });
                    }
                });
            }
        });
    }))
}

fn is_allowed(api: &str, state: State) -> bool {
    match api {
        "TerminateInstances" => true,
        "StartInstances" => matches!(state, State::Stopped | State::Running | State::Pending),
        "StopInstances" => !matches!(state, State::Terminated | State::ShuttingDown),
        _ => state == State::Running,
    }
}

fn one(ec2: &mut Ec2<'_>, api: &str, id: &str) -> Option<(String, State, State)> {
    let (now, speed) = (ec2.now, ec2.spec.speed);
    let node = ec2.region.fleet.get_mut(id)?;
    let before = node.state(now);
    let (through, end, seconds) = match (api, before) {
        ("StartInstances", State::Stopped) => (State::Pending, State::Running, START_SECONDS),
        ("StopInstances", State::Running | State::Pending) => (State::Stopping, State::Stopped, STOP_SECONDS),
        ("TerminateInstances", State::Terminated | State::ShuttingDown) => {
            return Some((id.to_owned(), before, before));
        }
        ("TerminateInstances", _) => (State::ShuttingDown, State::Terminated, TERMINATE_SECONDS),
        _ => {
            let index = node.index;
            if api == "RebootInstances" {
                ec2.region.lose(index, now);
            }
            return Some((id.to_owned(), before, before));
        }
    };
    node.states.retain(|(since, _)| *since <= now);
    node.states.push((now, through));
    node.states.push((now.plus_seconds(seconds / speed), end));
    let index = node.index;
    if end != State::Running {
        ec2.region.lose(index, now);
    }
    Some((id.to_owned(), before, through))
}
