//! The calendar: whether changes are wanted now.

use herder_aws::CallError;
use herder_aws::ssm::CalendarState;

use super::Answer;
use crate::ops::place::{Named, Place, in_each};

/// What it says in each place where it is; nowhere it is nothing.
///
/// # Errors
/// A call failed.
pub(super) async fn look(places: &[Place], text: &str) -> Result<Vec<CalendarState>, CallError> {
    let named = Named::calendar(text);
    let ask = async |place: &Place| place.scope.ssm().calendar_state(named.name).await;
    let states = in_each(named.homes(places), ask).await;
    Ok(states.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// Asks the calendar as a gate: wherever it is, it must be open.
pub(super) async fn ask(places: &[Place], text: &str) -> Answer {
    match look(places, text).await {
        Err(error) => Answer::of(&error),
        Ok(states) if states.is_empty() => Answer::No("there is no such calendar".to_owned()),
        Ok(states) => closed(&states).map_or(Answer::Yes(None), Answer::No),
    }
}

/// Why it is not open, if it is not: `it is CLOSED, and opens at …`.
pub(super) fn closed(states: &[CalendarState]) -> Option<String> {
    let closed: Vec<&CalendarState> = states.iter().filter(|state| !state.is_open).collect();
    if closed.is_empty() {
        return None;
    }
    // Open is what all of them are: the last to open decides, if every one says when.
    let opens: Option<Vec<_>> = closed.iter().map(|state| state.changes_at).collect();
    Some(match opens.into_iter().flatten().max() {
        Some(at) => format!("it is CLOSED, and opens at {at}"),
        None => "it is CLOSED, and does not say when it opens".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calendar_is_closed_where_any_is() {
        let at = |text: &str| Some(text.parse().unwrap());
        let open = CalendarState { is_open: true, changes_at: at("2026-11-21T09:30:00Z") };
        let closed_until = |changes_at| CalendarState { is_open: false, changes_at };
        assert_eq!(closed(&[open, open]), None);
        let said = closed(&[
            open,
            closed_until(at("2026-11-22T00:00:00Z")),
            closed_until(at("2026-11-23T00:00:00Z")),
        ]);
        assert_eq!(said.as_deref(), Some("it is CLOSED, and opens at 2026-11-23T00:00:00Z"));
        let said = closed(&[closed_until(at("2026-11-22T00:00:00Z")), closed_until(None)]);
        assert_eq!(said.as_deref(), Some("it is CLOSED, and does not say when it opens"));
    }
}
