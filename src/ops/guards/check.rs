//! The check before the first change: everything that stands guard is there, and nothing of it says no already.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use herder_aws::cloudwatch::{Alarm, AlarmState};
use herder_core::event::RunGuards;
use herder_core::fanout::News;
use tokio::sync::Mutex;

use super::alarms::{Alarms, described, look};
use super::watch::{Post, Watch, unsure};
use super::{Answer, Gate, Guard, calendar, health};
use crate::failure::{Failure, Kind};
use crate::ops::place::{Named, Place, in_each, told};

/// What was found.
#[derive(Debug)]
pub(crate) struct Checked {
    places: Vec<Place>,
    /// Where gates that are commands run.
    directory: Option<PathBuf>,
    posts: Vec<Post>,
    findings: Vec<Finding>,
}

/// What was found of one guard.
#[derive(Debug)]
struct Finding {
    /// As a gate is written: `alarm:web-5xx`.
    guard: String,
    /// Whether it is only asked between waves.
    is_gate: bool,
    /// How it stands, in one fragment; empty of a command.
    state: String,
    means: Means,
}

/// What a finding means to a run that begins now.
#[derive(Debug)]
enum Means {
    /// Nothing.
    Fine,
    /// A person should know.
    Warning(String),
    /// It may not begin.
    Refusal(Failure),
}

/// Looks everything up.
///
/// # Errors
/// AWS can't be asked, or something is named in a place where the run is not.
pub(crate) async fn check(places: Vec<Place>, guards: &RunGuards) -> Result<Checked, Failure> {
    let mut checked = Checked::new(places, guards);
    if let Some(name) = &guards.calendar {
        checked.calendar(name).await?;
    }
    let gates: Vec<Gate<'_>> = guards.gates.iter().map(|gate| Gate::of(gate)).collect();
    let asked: Vec<&str> = gates
        .iter()
        .filter_map(|gate| if let Gate::Alarm(name) = gate { Some(*name) } else { None })
        .collect();
    checked.alarms(&guards.stop_on_alarms, &asked).await?;
    for (gate, text) in gates.iter().zip(&guards.gates) {
        match gate {
            Gate::TargetGroup(name) => checked.target_group(text, name).await?,
            Gate::Command(command) => {
                let means = match checked.lacks(command) {
                    Some(failure) => Means::Refusal(failure),
                    None => Means::Fine,
                };
                checked.note((text.clone(), true), String::new(), means);
            }
            // Found with the others above; a calendar is no gate that anybody gives.
            Gate::Alarm(_) | Gate::Calendar(_) => {}
        }
    }
    Ok(checked)
}

/// The same for a run that goes on: what can't be looked at keeps it from sending anything, and from nothing else. There may be
/// commands under way that have to be read.
pub(crate) async fn check_resumed(places: Vec<Place>, guards: &RunGuards) -> Checked {
    let mut checked = Checked::new(places, guards);
    if let Some(name) = &guards.calendar
        && let Err(failure) = checked.calendar(name).await
    {
        checked.note_unseen(format!("calendar:{name}"), failure);
    }
    if let Err(failure) = checked.alarms(&guards.stop_on_alarms, &[]).await {
        for name in &guards.stop_on_alarms {
            checked.note_unseen(format!("alarm:{name}"), failure.clone());
        }
    }
    checked
}

impl Checked {
    fn new(places: Vec<Place>, guards: &RunGuards) -> Checked {
        let directory = guards.gate_directory.as_ref().map(PathBuf::from);
        Checked { places, directory, posts: Vec::new(), findings: Vec::new() }
    }

    fn note_unseen(&mut self, guard: String, failure: Failure) {
        let state = format!("it can't be looked at: {}", failure.message);
        self.note((guard, false), state, Means::Refusal(failure));
    }

    fn note(&mut self, (guard, is_gate): (String, bool), state: String, means: Means) {
        self.findings.push(Finding { guard, is_gate, state, means });
    }

    /// ` in 111122223333/eu-west-1`, or how many places there are.
    fn wherever(&self) -> String {
        match self.places.as_slice() {
            [place] => format!(" in {place}"),
            places => format!(" in any of the {} accounts and regions of the run", places.len()),
        }
    }

    fn missing(&self, what: &str, name: &str) -> Failure {
        Failure::new(Kind::NotFound, format!("there is no {what} `{name}`{}", self.wherever()))
            .hint("Check the name, --region and --profile: it is looked up where the targets are.")
    }

    /// Why a gate can't run, as far as that is plain beforehand: it begins with the path of a file.
    fn lacks(&self, command: &str) -> Option<Failure> {
        let program = command.split_whitespace().next()?;
        let is_plain = |c: char| c.is_alphanumeric() || "/._-+".contains(c);
        if !program.contains('/') || !program.chars().all(is_plain) {
            return None;
        }
        let path = self.directory.as_deref().unwrap_or(Path::new("")).join(program);
        let failure = match std::fs::metadata(&path) {
            Err(error) => Failure::usage(format!("the gate `{program}` can't be run")).caused_by(&error),
            Ok(metadata) if metadata.permissions().mode() & 0o111 == 0 => {
                Failure::usage(format!("the gate `{program}` is not executable"))
            }
            Ok(_) => return None,
        };
        Some(
            failure
                .hint("Gates run on this machine, by `sh -c`, in the directory where the run was started."),
        )
    }

    /// What an ARN names has to be where the run is.
    fn reachable(&self, what: &str, named: &Named<'_>) -> Result<(), Failure> {
        if named.homes(&self.places).is_empty() {
            return Err(Failure::usage(format!(
                "the {what} `{}` is in another account or region than the targets",
                named.name
            ))
            .hint("Name one that is where the targets are."));
        }
        Ok(())
    }

    async fn calendar(&mut self, name: &str) -> Result<(), Failure> {
        self.reachable("calendar", &Named::calendar(name))?;
        let states = calendar::look(&self.places, name).await?;
        let guard = (format!("calendar:{name}"), false);
        if states.is_empty() {
            let missing = self.missing("calendar", name);
            self.note(guard, "it does not exist".to_owned(), Means::Refusal(missing));
            return Ok(());
        }
        match calendar::closed(&states) {
            Some(closed) => {
                let refusal = Failure::new(
                    Kind::Refused,
                    format!("the calendar `{name}` keeps the run back: {closed}"),
                )
                .hint("Come back when it is open, or leave --calendar away.");
                self.note(guard, closed, Means::Refusal(refusal));
            }
            None => {
                let until = states.iter().filter_map(|state| state.changes_at).min();
                let until = until.map(|at| format!(" until {at}")).unwrap_or_default();
                self.note(guard, format!("it is OPEN{until}"), Means::Fine);
            }
        }
        Ok(())
    }

    /// Looks all alarms up, in one call for each place: those that are watched, and those that are gates.
    async fn alarms(&mut self, watched: &[String], gates: &[&str]) -> Result<(), Failure> {
        let all: Vec<Named<'_>> =
            watched.iter().map(String::as_str).chain(gates.iter().copied()).map(Named::alarm).collect();
        for named in &all {
            self.reachable("alarm", named)?;
        }
        if all.is_empty() {
            return Ok(());
        }
        let find = async |place: &Place| {
            let mut names: Vec<String> =
                all.iter().filter(|n| n.may_be_in(place)).map(|n| n.name.to_owned()).collect();
            names.sort_unstable();
            names.dedup();
            if names.is_empty() { Ok(Alarms::new()) } else { look(place, &names).await }
        };
        let found = in_each(&self.places, find).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        let findings: Vec<Finding> = watched
            .iter()
            .map(|text| self.watched(text, &found))
            .chain(gates.iter().map(|text| self.asked(text, &found)))
            .collect();
        self.findings.extend(findings);
        self.posts = self
            .places
            .iter()
            .zip(&found)
            .filter_map(|(place, found)| self.post(place, watched, found))
            .collect();
        Ok(())
    }

    /// What is to be watched in a place: the alarms that are there.
    fn post(&self, place: &Place, watched: &[String], found: &Alarms) -> Option<Post> {
        let there = watched.iter().map(|text| (Named::alarm(text), text));
        let names: BTreeMap<String, String> = there
            .filter(|(named, _)| named.may_be_in(place) && found.contains_key(named.name))
            .map(|(named, text)| (named.name.to_owned(), text.clone()))
            .collect();
        (!names.is_empty()).then(|| Post::new(place, told(&self.places, place), names, found))
    }

    /// The alarm in each place where it is, with how the place is told.
    fn places_of<'f>(&self, text: &str, found: &'f [Alarms]) -> Vec<(String, &'f Alarm)> {
        let named = Named::alarm(text);
        let places = self.places.iter().zip(found).filter(|(place, _)| named.may_be_in(place));
        places
            .filter_map(|(place, found)| Some((told(&self.places, place), found.get(named.name)?)))
            .collect()
    }

    fn watched(&self, text: &str, found: &[Alarms]) -> Finding {
        let alarms = self.places_of(text, found);
        let (state, means) = match worst(&alarms) {
            None => ("it does not exist".to_owned(), Means::Refusal(self.missing("alarm", text))),
            Some((at, alarm)) => {
                let state = described(alarm, at);
                let means = match alarm.state {
                    AlarmState::Ok => Means::Fine,
                    AlarmState::Alarm => Means::Refusal(
                        Failure::new(
                            Kind::Refused,
                            format!("the alarm `{text}` keeps the run back: {state}"),
                        )
                        .hint("Wait until it is OK, or leave --stop-on-alarm away."),
                    ),
                    AlarmState::InsufficientData | AlarmState::Other(_) => {
                        Means::Warning(unsure(text, alarm, at))
                    }
                };
                (state, means)
            }
        };
        Finding { guard: format!("alarm:{text}"), is_gate: false, state, means }
    }

    fn asked(&self, text: &str, found: &[Alarms]) -> Finding {
        let alarms = self.places_of(text, found);
        let (state, means) = match worst(&alarms) {
            None => ("it does not exist".to_owned(), Means::Refusal(self.missing("alarm", text))),
            Some((at, alarm)) => {
                let state = described(alarm, at);
                let means = match alarm.state {
                    AlarmState::Alarm => Means::Warning(would_fail(&format!("alarm:{text}"), &state)),
                    _ => Means::Fine,
                };
                (state, means)
            }
        };
        Finding { guard: format!("alarm:{text}"), is_gate: true, state, means }
    }

    async fn target_group(&mut self, gate: &str, name: &str) -> Result<(), Failure> {
        self.reachable("target group", &Named::target_group(name))?;
        let groups = health::look(&self.places, name).await?;
        let (state, means) = if groups.is_empty() {
            ("it does not exist".to_owned(), Means::Refusal(self.missing("target group", name)))
        } else {
            match health::judge(&groups.concat()) {
                Answer::Yes(_) => ("every target is healthy".to_owned(), Means::Fine),
                Answer::No(said) | Answer::NotYet(said) => {
                    let warning = would_fail(gate, &said);
                    (said, Means::Warning(warning))
                }
            }
        };
        self.note((gate.to_owned(), true), state, means);
        Ok(())
    }

    fn refusals(&self) -> impl Iterator<Item = &Failure> {
        self.findings.iter().filter_map(|finding| match &finding.means {
            Means::Refusal(failure) => Some(failure),
            Means::Fine | Means::Warning(_) => None,
        })
    }

    /// Everything that is named is there.
    ///
    /// # Errors
    /// Something doesn't exist (exit 3).
    pub(crate) fn require_all(&self) -> Result<(), Failure> {
        let missing = self.refusals().find(|failure| failure.kind == Kind::NotFound);
        missing.map_or(Ok(()), |failure| Err(failure.clone()))
    }

    /// A run that begins may begin.
    ///
    /// # Errors
    /// Something doesn't exist (exit 3); or the calendar is closed or a watched alarm in ALARM (exit 8).
    pub(crate) fn allow(&self) -> Result<(), Failure> {
        self.require_all()?;
        self.refusals().next().map_or(Ok(()), |failure| Err(failure.clone()))
    }

    /// What a person should know.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let warning = |finding: &Finding| match &finding.means {
            Means::Warning(text) => Some(text.clone()),
            Means::Fine | Means::Refusal(_) => None,
        };
        self.findings.iter().filter_map(warning).collect()
    }

    /// For a plan: how everything stands, and whether a run would be refused.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |finding: &Finding| {
            let what = match (finding.is_gate, finding.guard.split_once(':')) {
                (true, _) => format!("gate `{}`", finding.guard),
                (false, Some(("alarm", name))) => format!("stops on the alarm `{name}`"),
                (false, _) => format!("needs the {}", finding.guard.replacen(':', " `", 1) + "`"),
            };
            if finding.state.is_empty() {
                format!("  {what}")
            } else {
                format!("  {what}: {}", finding.state)
            }
        };
        let refused =
            self.allow().err().map(|failure| format!("  it would be refused now: {}", failure.message));
        self.findings.iter().map(line).chain(refused).collect()
    }

    /// What guards a run that begins.
    pub(crate) fn into_guard(self) -> Guard {
        self.guard(Vec::new())
    }

    /// What guards a run that goes on. It may have to do with commands that are under way, so that it is not refused: what says no
    /// keeps it from sending anything. Gates are asked when it comes to them.
    pub(crate) fn into_guard_of_resumed(self) -> Guard {
        let stops = self.findings.iter().filter(|finding| !finding.is_gate);
        let stops = stops.filter(|finding| matches!(finding.means, Means::Refusal(_)));
        let news =
            stops.map(|finding| News::Stop { gate: finding.guard.clone(), reason: finding.state.clone() });
        let news = news.collect();
        self.guard(news)
    }

    fn guard(self, news: Vec<News>) -> Guard {
        Guard {
            places: self.places,
            directory: self.directory,
            watch: Mutex::new(Watch::new(self.posts, news)),
        }
    }
}

fn would_fail(gate: &str, said: &str) -> String {
    format!("the gate `{gate}` would stop the run as it is: {said}")
}

/// ALARM before anything else, and OK last.
fn worst<'a>(alarms: &'a [(String, &'a Alarm)]) -> Option<(&'a str, &'a Alarm)> {
    let rank = |alarm: &Alarm| match alarm.state {
        AlarmState::Alarm => 0,
        AlarmState::InsufficientData | AlarmState::Other(_) => 1,
        AlarmState::Ok => 2,
    };
    alarms.iter().min_by_key(|(_, alarm)| rank(alarm)).map(|(at, alarm)| (at.as_str(), *alarm))
}
