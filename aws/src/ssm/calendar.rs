//! Change Calendar: whether changes are wanted now.

use jiff::Timestamp;

use super::Ssm;
use crate::call::Call;
use crate::error::{CallError, CallErrorKind};
use crate::times;

/// What a calendar says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CalendarState {
    /// Whether changes are wanted now. Anything but `OPEN` is no.
    pub is_open: bool,
    /// When that changes; `None` where nothing is entered.
    pub changes_at: Option<Timestamp>,
}

impl Ssm {
    /// `GetCalendarState` of one calendar at this moment, by its name or ARN (one that is shared by another account has an ARN only).
    /// `None` where there is none.
    ///
    /// # Errors
    /// The call failed, or the document is no calendar.
    pub async fn calendar_state(&self, name_or_arn: &str) -> Result<Option<CalendarState>, CallError> {
        let request = self.client.get_calendar_state().calendar_names(name_or_arn);
        let call = Call::read("ssm", "GetCalendarState", format!("of {name_or_arn}"));
        match self.scope.call(call, || request.clone().send()).await {
            Ok(answer) => Ok(Some(CalendarState {
                is_open: answer.state().is_some_and(|state| state.as_str() == "OPEN"),
                changes_at: times::text(answer.next_transition_time()),
            })),
            Err(error) if error.kind == CallErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
