//! `GetCalendarState`: calendars are open unless a scenario or a control closes them.

use super::{Ssm, documents};
use crate::clock::At;
use crate::scenario::CalendarRule;
use crate::service::change;
use crate::spec::Spec;
use crate::wire::ApiError;
use crate::wire::validate::Checked;
use crate::world::Region;
use serde_json::{Map, Value, json};

/// The calendar that every region with a fleet has.
const SHIPPED: &str = "release";

/// What is asked: which of a region's calendars there are, and how they are at a time.
struct Calendars<'a> {
    spec: &'a Spec,
    region: &'a Region,
    now: At,
}

pub(super) fn state(ssm: &mut Ssm<'_>, body: &Map<String, Value>) -> Result<Value, ApiError> {
    let mut checked = Checked::new(body);
    let names = checked.strings("CalendarNames", (0, 1000));
    let at_time = checked.string("AtTime", (0, 100));
    if names.is_none() {
        checked.missing("CalendarNames");
    }
    checked.finish()?;
    let at = match at_time {
        Some(text) => At::parse(&text)
            .ok_or_else(|| ApiError::new("ValidationException", "AtTime is not a valid ISO 8601 date."))?,
        None => ssm.now,
    };
    let calendars = Calendars { spec: ssm.spec, region: ssm.region, now: ssm.now };
    let mut is_open = true;
    let mut next: Option<At> = None;
    for name in names.unwrap_or_default() {
        let Some(calendar) = calendars.named(&name) else { return Err(no_calendar(ssm, &name)) };
        let (open, changes) = calendars.course(calendar, at);
        is_open &= open;
        next = [next, changes].into_iter().flatten().min();
    }
    let shown = |at: At| At(at.0.saturating_add(ssm.skew)).rfc3339_seconds();
    let mut answer = json!({"State": if is_open { "OPEN" } else { "CLOSED" }, "AtTime": shown(at)});
    if let Some(next) = next {
        // Whole seconds, by which it has happened.
        answer["NextTransitionTime"] = json!(shown(next.plus_seconds(0.999_999)));
    }
    Ok(answer)
}

fn no_calendar(ssm: &Ssm<'_>, name: &str) -> ApiError {
    if documents::find(ssm.documents, name, None).is_ok() {
        return ApiError::new(
            "InvalidDocumentType",
            "The document type is not valid. Expected: ChangeCalendar.",
        );
    }
    ApiError::new("InvalidDocument", format!("Document with name {name} does not exist."))
}

/// A calendar: its name, and its rule where a scenario has one.
type Calendar<'a> = (&'a str, Option<&'a CalendarRule>);

impl<'a> Calendars<'a> {
    fn all(&self) -> impl Iterator<Item = Calendar<'a>> {
        let rules = self.spec.scenario.as_ref().map_or(&[][..], |scenario| &scenario.calendars);
        let region = self.region;
        let is_shipped = !region.fleet.nodes.is_empty() && rules.iter().all(|rule| rule.name != SHIPPED);
        let is_here = |rule: &&CalendarRule| {
            rule.region.as_ref().is_none_or(|name| *name == region.name)
                && rule.account.as_ref().is_none_or(|account| *account == region.account)
        };
        let own = rules.iter().filter(is_here).map(|rule| (rule.name.as_str(), Some(rule)));
        is_shipped.then_some((SHIPPED, None)).into_iter().chain(own.collect::<Vec<_>>())
    }

    /// The calendar of a name or an ARN.
    fn named(&self, name: &str) -> Option<Calendar<'a>> {
        let (account, region) = (&self.region.account, &self.region.name);
        let prefix = format!("arn:aws:ssm:{region}:{account}:document/");
        let name = name.strip_prefix(&prefix).unwrap_or(name);
        self.all().find(|(have, _)| *have == name)
    }

    /// Whether it is open at a time, and when that changes.
    fn course(&self, (name, rule): Calendar<'_>, at: At) -> (bool, Option<At>) {
        let is_open = |word: &str| word.eq_ignore_ascii_case("open");
        let first = rule.and_then(|rule| rule.state.as_deref()).is_none_or(is_open);
        let mut course = vec![(At(i64::MIN), first)];
        course.extend(rule.iter().flat_map(|rule| &rule.changes).filter_map(|planned| {
            let happens = change::happens(self.spec, self.region, self.now, planned)?;
            Some((happens, is_open(planned.state.as_deref().unwrap_or("CLOSED"))))
        }));
        let set = self.region.calendars_set.iter().filter(|(_, calendar, _)| calendar == name);
        course.extend(set.map(|(at, _, open)| (*at, *open)));
        course.sort_by_key(|(at, _)| *at);
        let now = course.iter().rev().find(|(from, _)| *from <= at).is_none_or(|(_, open)| *open);
        let next = course.iter().find(|(from, open)| *from > at && *open != now);
        (now, next.map(|(from, _)| *from))
    }
}

/// Opens or closes a calendar from now on; false where there is none of that name.
pub(crate) fn set(spec: &Spec, region: &mut Region, (name, is_open): (&str, bool), now: At) -> bool {
    let is_there = Calendars { spec, region, now }.named(name).is_some();
    if is_there {
        region.calendars_set.push((now, name.to_owned(), is_open));
    }
    is_there
}
