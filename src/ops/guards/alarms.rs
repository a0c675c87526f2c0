//! Alarms: what they say, wherever they are.

use std::collections::BTreeMap;

use herder_aws::CallError;
use herder_aws::cloudwatch::{Alarm, AlarmState};

use super::Answer;
use crate::ops::place::{Named, Place, in_each, told};

/// What is known of the alarms of one place, by name.
pub(super) type Alarms = BTreeMap<String, Alarm>;

/// Looks at some alarms of a place, in one call.
///
/// # Errors
/// The call failed.
pub(super) async fn look(place: &Place, names: &[String]) -> Result<Alarms, CallError> {
    let alarms = place.scope.cloudwatch().describe_alarms(names).await?;
    Ok(alarms.into_iter().map(|alarm| (alarm.name.clone(), alarm)).collect())
}

/// Asks an alarm as a gate: wherever it is, it must not be in ALARM. Too little data is no alarm, and is told.
pub(super) async fn ask(places: &[Place], text: &str) -> Answer {
    let named = Named::alarm(text);
    let names = [named.name.to_owned()];
    let homes = named.homes(places);
    let looks = in_each(&homes, |place| look(place, &names)).await;
    let mut answer = Answer::No("there is no such alarm".to_owned());
    for (place, found) in homes.into_iter().zip(looks) {
        let at = told(places, place);
        let alarm = match found {
            Ok(mut alarms) => alarms.remove(named.name),
            Err(error) => return Answer::of(&error),
        };
        match alarm {
            None => {}
            Some(alarm) if alarm.state == AlarmState::Alarm => return Answer::No(described(&alarm, &at)),
            Some(alarm) if alarm.state == AlarmState::Ok => {
                if matches!(answer, Answer::No(_)) {
                    answer = Answer::Yes(None);
                }
            }
            Some(alarm) => answer = Answer::Yes(Some(described(&alarm, &at))),
        }
    }
    answer
}

/// `it is in ALARM in 111122223333/eu-west-1: Threshold Crossed: …`
pub(super) fn described(alarm: &Alarm, at: &str) -> String {
    let state = format!("it is in {}{at}", alarm.state);
    if alarm.reason.is_empty() { state } else { format!("{state}: {}", alarm.reason) }
}
