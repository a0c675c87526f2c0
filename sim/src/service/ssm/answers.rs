//! What a node does with a command: the scenario's rules first, then the node's own state, then the node's shell.

use super::engine::{Draft, Reach};
use crate::clock::At;
use crate::content::Content;
use crate::draw::Draw;
use crate::fleet::is_in_share;
use crate::fleet::names::Platform;
use crate::fleet::node::{Node, State};
use crate::node_shell::{Answer, Surroundings, powershell, shell};
use crate::scenario::{AnswerRule, files_of};
use crate::spec::{Durations, Spec};

/// A command, as a node sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) region: &'a str,
    pub(crate) command_id: &'a str,
    pub(crate) document: &'a str,
    pub(crate) plugin: &'a str,
    pub(crate) script: &'a str,
    /// `script` is what the document's `commands` said, not its parameters.
    pub(crate) is_script: bool,
    pub(crate) directory: &'a str,
}

/// Seconds from the service to a node: the agent's websocket is sub-second, with the document's start about 1 s.
const DELIVERY_SECONDS: f64 = 1.0;
/// Seconds that a reboot takes.
const REBOOT_SECONDS: f64 = 30.0;
/// How much longer slow nodes take.
const SLOWNESS: f64 = 10.0;
/// Medians and spread of run times, and the longest: see the table of durations in `spec`.
const FLEET: (f64, f64, f64) = (5.0, 0.62, 60.0);
const QUICK: (f64, f64, f64) = (0.3, 0.3, 3.0);

/// Works out what a node will do.
pub(crate) fn draft(order: Order<'_>, node: &Node, occurrence: u32, now: At) -> Draft {
    let mut draw = order.draw(node, occurrence);
    let speed = order.spec.speed;
    let delivery = DELIVERY_SECONDS * (0.8 + 0.4 * draw.unit()) / speed;
    let reach = reach(order, node, now, delivery);
    let rule = order.rule(node);
    let outcome = order.outcome(node, rule, occurrence);
    let base = match rule.and_then(|rule| rule.duration).or(order.spec.duration) {
        Some(Durations::Fixed(time)) => time.as_secs_f64(),
        Some(Durations::Fleet) => drawn(&mut draw, FLEET),
        Some(Durations::Quick) => drawn(&mut draw, QUICK),
        None if outcome.is_slow => drawn(&mut draw, FLEET),
        None => drawn(&mut draw, QUICK),
    };
    let slowness = if node.health.slow { SLOWNESS } else { 1.0 };
    let reboot_code = if node.platform == Platform::Windows { 3010 } else { 194 };
    Draft {
        node: node.index,
        occurrence,
        reach,
        duration: (base * slowness + outcome.asked_seconds) / speed,
        code: outcome.code,
        dies: node.health.dying || rule.is_some_and(|rule| rule.dies),
        reboot: (outcome.code == reboot_code).then_some(REBOOT_SECONDS / speed),
    }
}

fn drawn(draw: &mut Draw, (median, sigma, most): (f64, f64, f64)) -> f64 {
    draw.lognormal(median, sigma).min(most)
}

fn reach(order: Order<'_>, node: &Node, now: At, delivery: f64) -> Reach {
    let windows = node.platform == Platform::Windows;
    if windows && order.plugin == "aws:runShellScript" && order.document != "AWS-RunPatchBaseline" {
        Reach::InvalidPlatform
    } else if node.health.offline || node.health.unreachable || node.state(now) != State::Running {
        Reach::Unreachable
    } else if node.health.undeliverable {
        Reach::Undeliverable
    } else if node.health.denied {
        Reach::AccessDenied
    } else {
        Reach::Online(delivery)
    }
}

/// What a node printed, in full.
#[derive(Debug, Clone)]
pub(crate) struct Printed {
    pub(crate) stdout: Content,
    pub(crate) stderr: Vec<u8>,
}

/// More than any of the service's own answers shows of a stream.
const SHOWN: usize = 64 << 10;

/// Makes what a node printed, as far as the service can show it.
pub(crate) fn output(order: Order<'_>, node: &Node, occurrence: u32, started: At) -> Answer {
    let Printed { stdout, stderr } = printed(order, node, occurrence, started);
    Answer { stdout: stdout.head(SHOWN), stderr, ..Answer::default() }
}

/// Makes what a node printed.
pub(crate) fn printed(order: Order<'_>, node: &Node, occurrence: u32, started: At) -> Printed {
    let rule = order.rule(node);
    let whole = |answer: Answer| Printed { stdout: Content::Bytes(answer.stdout), stderr: answer.stderr };
    if node.health.broken {
        return whole(broken(node));
    }
    let draw = order.draw(node, occurrence);
    let bytes = rule.map_or(order.spec.bytes, |rule| rule.bytes);
    match (bytes, rule) {
        (Some(bytes), _) => {
            let stderr = rule.map_or_else(Vec::new, |rule| filled(&rule.stderr, node));
            let (draw, is_binary) = (draw.text("bytes"), rule.is_some_and(|rule| rule.binary));
            let stdout = if is_binary { Content::Noise(draw, bytes) } else { Content::Drawn(draw, bytes) };
            Printed { stdout, stderr }
        }
        (None, Some(rule)) => {
            Printed { stdout: Content::Bytes(filled(&rule.stdout, node)), stderr: filled(&rule.stderr, node) }
        }
        (None, None) => whole(order.run(node, draw, started)),
    }
}

fn broken(node: &Node) -> Answer {
    let stderr = if node.platform == Platform::Windows {
        "There is not enough space on the disk.\r\n".to_owned()
    } else {
        "sh: cannot create /tmp/command: No space left on device\n".to_owned()
    };
    Answer { stderr: stderr.into_bytes(), code: 1, ..Answer::default() }
}

fn filled(template: &str, node: &Node) -> Vec<u8> {
    template
        .replace("{id}", &node.id)
        .replace("{name}", &node.name)
        .replace("{az}", &node.zone)
        .replace("{n}", &node.index.to_string())
        .into_bytes()
}

/// What a scenario says of a command in a session.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    pub(crate) stdout: Content,
    pub(crate) stderr: Vec<u8>,
    pub(crate) code: i32,
    /// How long it takes, before `speed`; no time at all where nothing says so.
    pub(crate) seconds: f64,
    pub(crate) dies: bool,
}

/// The first answer that is about a command in a session; the node's shell has to say where there is none.
pub(crate) fn prepared(spec: &Spec, (document, script): (&str, &str), node: &Node) -> Option<Prepared> {
    let rule = rule(spec, (document, script), node)?;
    let mut draw = Draw::new(spec.seed).text(&node.id).text(document).text(script);
    let seconds = match rule.duration.or(spec.duration) {
        Some(Durations::Fixed(time)) => time.as_secs_f64(),
        Some(Durations::Fleet) => drawn(&mut draw, FLEET),
        Some(Durations::Quick) => drawn(&mut draw, QUICK),
        None => 0.0,
    };
    let draw = draw.text("bytes");
    let stdout = match rule.bytes {
        Some(bytes) if rule.binary => Content::Noise(draw, bytes),
        Some(bytes) => Content::Drawn(draw, bytes),
        None => Content::Bytes(filled(&rule.stdout, node)),
    };
    Some(Prepared {
        stdout,
        stderr: filled(&rule.stderr, node),
        code: rule.exit,
        seconds: seconds * if node.health.slow { SLOWNESS } else { 1.0 },
        dies: rule.dies,
    })
}

fn rule<'a>(spec: &'a Spec, (document, script): (&str, &str), node: &Node) -> Option<&'a AnswerRule> {
    let rules = spec.scenario.iter().flat_map(|scenario| &scenario.answers);
    rules.enumerate().find_map(|(number, rule)| {
        let draw = Draw::new(spec.seed).text("answer").with(number as u64);
        let fits = rule.is_about(document, script)
            && rule.nodes.as_deref().is_none_or(|pattern| node.is_meant(pattern))
            && is_in_share(rule.share, draw, node);
        fits.then_some(rule)
    })
}

impl<'a> Order<'a> {
    fn draw(&self, node: &Node, occurrence: u32) -> Draw {
        Draw::new(self.spec.seed)
            .text(&node.id)
            .text(self.document)
            .text(self.script)
            .with(u64::from(occurrence))
    }

    fn rule(&self, node: &Node) -> Option<&'a AnswerRule> {
        rule(self.spec, (self.document, self.script), node)
    }

    /// Code and time, without making output that is only printed.
    fn outcome(&self, node: &Node, rule: Option<&AnswerRule>, occurrence: u32) -> Answer {
        if node.health.broken {
            return Answer { code: 1, ..Answer::default() };
        }
        match rule {
            Some(rule) => Answer { code: rule.exit, is_slow: rule.duration.is_none(), ..Answer::default() },
            None if self.spec.bytes.is_some() => Answer::default(),
            None => self.run(node, self.draw(node, occurrence), At(0)),
        }
    }

    fn run(&self, node: &Node, draw: Draw, at: At) -> Answer {
        let around = Surroundings {
            node,
            region: self.region,
            command_id: self.command_id,
            at,
            draw,
            directory: self.directory,
            files: files_of(self.spec, node),
        };
        match self.plugin {
            "aws:runPowerShellScript" if node.platform == Platform::Windows => {
                powershell(self.script, &around)
            }
            "aws:runPowerShellScript" => Answer {
                stderr: b"exec: \"pwsh\": executable file not found in $PATH\n".to_vec(),
                code: 1,
                ..Answer::default()
            },
            "aws:runShellScript" if self.is_script => shell(self.script, &around),
            _ => Answer {
                stdout: format!("{} finished on {}\n", self.document, node.name).into_bytes(),
                is_slow: true,
                ..Answer::default()
            },
        }
    }
}
