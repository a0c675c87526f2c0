//! The control handle over HTTP, for other processes: JSON under `/_sim/`, with the same types.
//!
#![doc = include_str!("control_http.md")]

use crate::control::Control;
use crate::gateway::line::SessionAct;
use crate::hold::{HoldId, Release};
use crate::outage::Down;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WaitHeld {
    id: HoldId,
    timeout_ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Released {
    id: HoldId,
    release: Release,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expiry {
    expired: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Clock {
    skew_ms: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Outage {
    region: String,
    #[serde(default)]
    down: Option<Down>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Calendar {
    region: String,
    name: String,
    open: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Alarm {
    region: String,
    name: String,
    state: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Acted {
    id: String,
    act: SessionAct,
}

/// Status and body of an answer.
pub(crate) type Answer = (u16, Vec<u8>);

/// Answers a request to `/_sim/{name}`.
pub(crate) async fn answer(control: &Control, is_post: bool, name: &str, body: &[u8]) -> Answer {
    match (is_post, name) {
        (false, "") => {
            let spec = &control.core.spec;
            ok(
                &json!({"account": crate::credentials::ACCOUNT, "region": spec.regions.first(), "regions": spec.regions,
                       "accounts": control.accounts(), "access_key": crate::credentials::ACCESS_KEY}),
            )
        }
        (false, "operations") => ok(&control.operations()),
        (false, "requests") => ok(&control.requests()),
        (false, "stats") => ok(&control.stats()),
        (false, "truth") => ok(&control.truth()),
        (false, "nodes") => ok(&control.nodes()),
        (false, "all-nodes") => ok(&control.all_nodes()),
        (false, "faults") => ok(&control.fault_settings()),
        (false, "sessions") => ok(&control.sessions()),
        (false, "frame-faults") => ok(&control.frame_fault_settings()),
        (true, "session") => with(body, |acted: Acted| ok(&control.act(&acted.id, acted.act))),
        (true, "frame-faults") => with(body, |faults| done(|| control.frame_faults(faults))),
        (true, "floor") => with(body, |query| ok(&control.floor(&query))),
        (true, "faults") => with(body, |faults| done(|| control.faults(faults))),
        (true, "hold") => with(body, |spec| ok(&control.hold(spec))),
        (true, "wait-held") => match parse::<WaitHeld>(body) {
            Ok(wait) => ok(&control.wait_held(wait.id, Duration::from_millis(wait.timeout_ms)).await),
            Err(answer) => answer,
        },
        (true, "release") => {
            with(body, |released: Released| done(|| control.release(released.id, released.release)))
        }
        (true, "credentials") => with(body, |expiry: Expiry| {
            done(|| if expiry.expired { control.expire_credentials() } else { control.renew_credentials() })
        }),
        (true, "clock") => with(body, |clock: Clock| done(|| control.set_clock_skew(clock.skew_ms))),
        (true, "region") => {
            with(body, |outage: Outage| done(|| control.set_region(&outage.region, outage.down)))
        }
        (true, "alarm") => {
            with(body, |alarm: Alarm| ok(&control.set_alarm(&alarm.region, &alarm.name, &alarm.state)))
        }
        (true, "calendar") => with(body, |calendar: Calendar| {
            ok(&control.set_calendar(&calendar.region, &calendar.name, calendar.open))
        }),
        (true, "reset-log") => done(|| control.reset_log()),
        (_, other) => error(404, &format!("no control named '{other}' for this method")),
    }
}

fn done(act: impl FnOnce()) -> Answer {
    act();
    ok(&json!({}))
}

fn ok(value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(body) => (200, body),
        Err(cause) => error(500, &cause.to_string()),
    }
}

fn error(status: u16, message: &str) -> Answer {
    (status, json!({"error": message}).to_string().into_bytes())
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Answer> {
    serde_json::from_slice(body).map_err(|cause| error(400, &cause.to_string()))
}

fn with<T: DeserializeOwned>(body: &[u8], act: impl FnOnce(T) -> Answer) -> Answer {
    match parse(body) {
        Ok(value) => act(value),
        Err(answer) => answer,
    }
}
