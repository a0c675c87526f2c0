//! The one node that is meant.

use std::fmt::Write as _;

use clap::Args;
use herder_core::target::{Platform, Target};

use crate::args::TargetArgs;
use crate::commands::exec::blocking;
use crate::commands::while_looking;
use crate::ctx::Ctx;
use crate::failure::{Failure, Kind};
use crate::io::Io;
use crate::ops::targets::{TargetSpec, resolve};
use crate::scopes::{OpenScope, Scopes};

/// How the message ends where a selector gives several nodes and nobody can choose.
pub(super) const WITH_ONE: &str = "and a session is with one";
/// Nodes that are listed where one has to be chosen.
const LISTED: usize = 20;

/// What every command that starts a session takes.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct ReasonArgs {
    /// Why, for the audit
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
}

/// The node that a session is for.
pub(super) struct Chosen {
    /// Its id, or the `ecs:` string of a container.
    pub(super) id: String,
    /// Its name.
    pub(super) name: Option<String>,
    /// Its platform, where it is known.
    pub(super) platform: Option<Platform>,
    /// Its account and region.
    pub(super) open: OpenScope,
}

impl Chosen {
    /// The name with the id, or only that.
    pub(super) fn title(&self) -> String {
        match &self.name {
            Some(name) => format!("{name} ({})", self.id),
            None => self.id.clone(),
        }
    }

    /// A failure that names the node by its id, with the name that was typed too.
    pub(super) fn named(&self, mut failure: Failure) -> Failure {
        if let Some(name) = &self.name
            && !failure.message.contains(name.as_str())
        {
            failure.message = failure.message.replacen(&self.id, &self.title(), 1);
        }
        failure
    }

    /// What people call it.
    pub(super) fn label(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.id)
    }
}

/// Finds the node; of several one is chosen at the terminal.
///
/// # Errors
/// The selector can't be right, nothing matches (exit 3), or several do and nobody chooses (exit 8).
pub(super) async fn choose(ctx: &Ctx, io: &Io, selector: &str) -> Result<Chosen, Failure> {
    if selector.starts_with("ecs:") {
        let open = ctx.until_interrupted(ctx.open_scopes(None)).await?.first().clone();
        return Ok(Chosen { id: selector.to_owned(), name: None, platform: None, open });
    }
    let (scopes, targets) = find(ctx, io, selector).await?;
    let target = match <[Target; 1]>::try_from(targets) {
        Ok([one]) => one,
        Err(several) => pick(ctx, io, selector, several).await?,
    };
    let open = scopes.get(&target.account, &target.region).unwrap_or_else(|| scopes.first()).clone();
    Ok(Chosen { id: target.id, name: target.name, platform: target.platform, open })
}

/// The nodes that a selector gives, at least one, and where they are.
///
/// # Errors
/// The selector can't be right, or nothing matches (exit 3).
pub(super) async fn find(ctx: &Ctx, io: &Io, selector: &str) -> Result<(Scopes, Vec<Target>), Failure> {
    let args = TargetArgs { target: vec![selector.to_owned()], ..TargetArgs::default() };
    let spec = TargetSpec::new(&args, None, ctx)?;
    if spec.reads_stdin() {
        return Err(Failure::usage("a session's target can't come from standard input"));
    }
    let looking = ctx.until_interrupted(async {
        let mut scopes = Box::pin(ctx.open_scopes(None)).await?;
        let resolved = Box::pin(resolve(ctx, &mut scopes, spec, None)).await?;
        Ok((scopes, resolved))
    });
    let (scopes, resolved) = while_looking(ctx, io, looking).await?;
    scopes.warn(io);
    for warning in &resolved.warnings {
        super::say(io, &format!("warning: {warning}"), false);
    }
    Ok((scopes, resolved.targets))
}

async fn pick(ctx: &Ctx, io: &Io, selector: &str, targets: Vec<Target>) -> Result<Target, Failure> {
    let count = targets.len();
    let several = format!("`{selector}` gives {count} nodes, {WITH_ONE}");
    let listed = listing(&targets, LISTED);
    let io = io.clone();
    let picked = ctx.until_interrupted(blocking(move || {
        let mut picker = Picker::new(targets);
        loop {
            let answer = io.ask(&picker.question())?;
            if let Some(target) = picker.answer(&answer) {
                return Ok(target);
            }
        }
    }));
    picked.await?.map_err(|error: crate::io::PromptError| {
        let mut failure = Failure::new(Kind::Refused, several);
        failure.causes.push(error.to_string());
        failure.causes.extend(listed.lines().map(str::to_owned));
        failure.hint("Name one of them by its id, or narrow the selector down with ` and `.")
    })
}

fn described(target: &Target) -> String {
    let name = target.name.as_deref().unwrap_or("-");
    let mut text = format!("{name}  {}", target.id);
    if let Some(az) = &target.az {
        let _ = write!(text, "  {az}");
    }
    text
}

fn listing(targets: &[Target], most: usize) -> String {
    let mut text = String::new();
    for target in targets.iter().take(most) {
        let _ = writeln!(text, "{}", described(target));
    }
    if targets.len() > most {
        let _ = writeln!(text, "and {} more", targets.len() - most);
    }
    text
}

/// A list to choose from: a number chooses, other words narrow it down.
struct Picker {
    all: Vec<Target>,
    shown: Vec<usize>,
    filter: String,
    /// What is wrong with the last answer.
    complaint: Option<String>,
}

impl Picker {
    fn new(all: Vec<Target>) -> Picker {
        Picker { shown: (0..all.len()).collect(), all, filter: String::new(), complaint: None }
    }

    fn question(&self) -> String {
        let mut text = String::new();
        if let Some(complaint) = &self.complaint {
            let _ = writeln!(text, "{complaint}");
        }
        for (number, at) in self.shown.iter().take(LISTED).enumerate() {
            if let Some(target) = self.all.get(*at) {
                let _ = writeln!(text, "{:>3}  {}", number + 1, crate::render::visible(&described(target)));
            }
        }
        if self.shown.len() > LISTED {
            let _ = writeln!(text, "     and {} more", self.shown.len() - LISTED);
        }
        if self.shown.is_empty() {
            let _ = writeln!(text, "No node matches {:?}.", self.filter);
        }
        text.push_str("Number, or words to narrow down (Enter lists all): ");
        text
    }

    /// Takes an answer; gives the node if one is chosen.
    fn answer(&mut self, answer: &str) -> Option<Target> {
        let answer = answer.trim();
        self.complaint = None;
        if !answer.is_empty() && answer.bytes().all(|byte| byte.is_ascii_digit()) {
            let number = answer.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
            let chosen = number.and_then(|n| self.shown.iter().take(LISTED).nth(n));
            self.complaint = chosen.is_none().then(|| format!("There is no {answer}."));
            return chosen.and_then(|at| self.all.get(*at)).cloned();
        }
        self.filter = answer.to_lowercase();
        let words: Vec<&str> = self.filter.split_whitespace().collect();
        let fits = |target: &Target| {
            let text = described(target).to_lowercase();
            words.iter().all(|word| text.contains(word))
        };
        self.shown = self.all.iter().enumerate().filter(|(_, t)| fits(t)).map(|(n, _)| n).collect();
        match (self.shown.as_slice(), words.is_empty()) {
            ([one], false) => self.all.get(*one).cloned(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(id: &str, name: &str) -> Target {
        Target {
            id: id.into(),
            name: Some(name.into()),
            account: "1".into(),
            region: "r".into(),
            az: Some("eu-west-1a".into()),
            platform: None,
        }
    }

    #[test]
    fn numbers_choose_and_words_narrow_down() {
        let mut picker =
            Picker::new(vec![target("i-01", "web-1"), target("i-02", "web-2"), target("i-03", "db-1")]);
        assert!(picker.question().contains("  2  web-2  i-02  eu-west-1a\n"), "{}", picker.question());
        assert_eq!(picker.answer("WEB"), None);
        assert!(!picker.question().contains("db-1"));
        assert_eq!(picker.answer("2").unwrap().id, "i-02");
        assert_eq!(picker.answer("nothing"), None);
        assert!(picker.question().starts_with("No node matches \"nothing\"."));
        assert_eq!(picker.answer(""), None);
        assert_eq!(picker.answer("2").unwrap().id, "i-02");
        // Digits are never a part of an id.
        for number in ["0", "4", "02", "99999999999999999999999"] {
            let chosen = picker.answer(number);
            assert_eq!(chosen.is_some(), number == "02", "{number}");
        }
        assert!(picker.question().starts_with("There is no 99999999999999999999999.\n  1  web-1"));
        assert_eq!(picker.answer(""), None);
        assert!(picker.question().starts_with("  1  web-1"));
        assert_eq!(picker.answer("db").unwrap().id, "i-03");
    }
}
