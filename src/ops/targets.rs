//! Resolving targets: selectors to nodes, and what can be judged of a node before anything is sent.

mod named;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use herder_core::fanout::Outcome;
use herder_core::journal::{Replay, RunDirectory};
use herder_core::run_id::RunId;
use herder_core::target::{
    NodeFacts, NodeSet, Query, RunRef, ScopedId, Selector, ServiceTarget, Share, Source, Target, Targets,
    Term, Which, parse_list, spread, suggest,
};
use herder_core::verdict::{Reason, Verdict};

use self::named::Named;
use super::groups::{Groups, look_up, require_all};
use super::nodes::{Fleet, Node, fetch};
use super::place::in_each;
use crate::args::{Spread, TargetArgs};
use crate::ctx::Ctx;
use crate::failure::{Failure, Kind};
use crate::scopes::{OpenScope, Scopes};

/// What was asked for, parsed.
#[derive(Clone, Debug)]
pub(crate) struct TargetSpec {
    chosen: Vec<Selector>,
    excluded: Vec<Selector>,
    sample: Option<(Share, u64)>,
    limit: Option<NonZeroUsize>,
    spread: Option<Spread>,
}

/// Who is meant.
#[derive(Debug)]
pub(crate) struct Resolved {
    /// The targets, in order.
    pub(crate) targets: Vec<Target>,
    /// Those that need no send to be judged, by index.
    pub(crate) judged: BTreeMap<usize, Outcome>,
    /// What a person should know.
    pub(crate) warnings: Vec<String>,
    /// Whether `all` was asked for.
    pub(crate) is_all: bool,
    /// Instances that match and are left out since they don't run: a service that is handed the selector chooses them too.
    pub(crate) not_running: u64,
}

impl TargetSpec {
    /// Parses the selectors; aliases of the configuration stand for theirs.
    ///
    /// # Errors
    /// One of them doesn't parse, or there is none.
    pub(crate) fn new(args: &TargetArgs, spread: Option<Spread>, ctx: &Ctx) -> Result<TargetSpec, Failure> {
        let parse = |text: &String| -> Result<Selector, Failure> {
            Selector::with_aliases(text, &ctx.settings.aliases).map_err(Failure::from)
        };
        let chosen: Vec<Selector> = args.target.iter().map(parse).collect::<Result<_, _>>()?;
        if chosen.is_empty() {
            return Err(Failure::usage("no targets were given")
                .hint("Choose nodes with -t: an id, a name, tag:KEY=VALUE, @FILE, or all."));
        }
        Ok(TargetSpec {
            chosen,
            excluded: args.exclude.iter().map(parse).collect::<Result<_, _>>()?,
            sample: args.sample.map(|share| (share, args.seed.unwrap_or(ctx.seed))),
            limit: args.limit,
            spread,
        })
    }

    /// These nodes.
    pub(crate) fn of_ids(ids: &[String], spread: Option<Spread>) -> TargetSpec {
        let nodes = Selector::Term(Term::Nodes(ids.iter().collect()));
        TargetSpec { chosen: vec![nodes], excluded: Vec::new(), sample: None, limit: None, spread }
    }

    /// The same in the words of the service.
    ///
    /// # Errors
    /// It has none for them.
    pub(crate) fn service_targets(&self) -> Result<Vec<ServiceTarget>, Failure> {
        ServiceTarget::of(&self.chosen).map_err(|error| {
            Failure::usage(error.to_string()).hint(
                "It takes `all`, tag:KEY=VALUE[,VALUE] joined by `and`, asg: and one rg:, without wildcards; tag:Name=NAME for a name. Others go with --via client.",
            )
        })
    }

    /// The conditions of the selectors, each by itself, as they are written.
    pub(crate) fn conditions(&self) -> Vec<String> {
        self.chosen.iter().flat_map(Selector::terms).map(ToString::to_string).collect()
    }

    /// What is said of exclusions that spare no node: a slip there would reach the one that was to be spared.
    fn idle_exclusions(&self, ctx: &Ctx, excluding: &BTreeSet<usize>) -> Vec<String> {
        let idle = self.excluded.iter().enumerate().filter(|(position, _)| !excluding.contains(position));
        let said = idle.map(|(_, selector)| {
            let conditions = selector.terms().into_iter().map(ToString::to_string);
            let meant = crate::complete::meant(ctx, conditions);
            let meant = meant.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
            format!("--exclude `{selector}` leaves out none of the nodes that were chosen{meant}")
        });
        said.collect()
    }

    /// The groups that the selectors name, as they are in one account and region.
    ///
    /// # Errors
    /// AWS can't be asked, or a group holds no nodes.
    async fn groups(&self, open: &OpenScope) -> Result<Groups, Failure> {
        let terms: Vec<&Term> = self.chosen.iter().chain(&self.excluded).flat_map(Selector::terms).collect();
        look_up(open, &terms).await
    }

    /// The selectors with every list read, and with the groups' members in one account and region.
    ///
    /// # Errors
    /// A list can't be read.
    fn query(
        &self,
        ctx: &Ctx,
        scopes: &Scopes,
        stdin: Option<&[u8]>,
        groups: &Groups,
    ) -> Result<Query, Failure> {
        let lists = Lists { ctx, scopes, stdin, groups };
        let chosen = lists.replace(self.chosen.clone())?;
        let excluded = lists.replace(self.excluded.clone())?;
        Query::new(chosen, excluded)
            .map_err(|error| Failure::new(Kind::Bug, "a selector was not looked up").caused_by(&error))
    }

    /// Nodes that are asked for in one account and region, outside of those that can be worked in. Of the ones that were asked for
    /// and can't be, everybody knows already.
    ///
    /// # Errors
    /// Their account and region was not asked for at all (exit 3).
    fn outside(&self, scopes: &Scopes) -> Result<BTreeSet<String>, Failure> {
        let sets = self.chosen.iter().flat_map(Selector::terms).filter_map(|term| match term {
            Term::Nodes(set) => Some(&set.scoped),
            _ => None,
        });
        let is_open = |node: &ScopedId| {
            scopes.iter().any(|open| node.is_in(&open.identity.account, &open.identity.region))
        };
        let mut outside = BTreeSet::new();
        for node in sets.flatten().filter(|node| !is_open(node)) {
            let names =
                [node.account.clone(), node.region.clone(), format!("{}/{}", node.account, node.region)];
            if !scopes.unreached.iter().any(|unreached| names.contains(&unreached.name)) {
                let message = format!("`{node}` is in none of the accounts and regions of this command");
                let hint = format!("Ask there too: --account {} --region {}.", node.account, node.region);
                return Err(Failure::new(Kind::NotFound, message).hint(hint));
            }
            outside.insert(node.id.clone());
        }
        Ok(outside)
    }

    /// Whether standard input is a list of targets.
    pub(crate) fn reads_stdin(&self) -> bool {
        let mut terms = self.chosen.iter().chain(&self.excluded).flat_map(Selector::terms);
        terms.any(|term| matches!(term, Term::Source(Source::Stdin)))
    }
}

/// Finds the nodes that are meant, in every account and region at once. One that can't be asked is left out of the scopes, as long as
/// another can.
///
/// # Errors
/// A list can't be read, AWS can't be asked, or nothing matches (exit 3).
pub(crate) async fn resolve(
    ctx: &Ctx,
    scopes: &mut Scopes,
    spec: TargetSpec,
    stdin: Option<&[u8]>,
) -> Result<Resolved, Failure> {
    let asked = spec.chosen.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let is_only = scopes.count() == 1 && scopes.unreached.is_empty();
    let (queries, group_warnings) = questions(ctx, scopes, &spec, stdin).await?;
    let Some(query) = queries.first() else { return Err(Failure::new(Kind::Bug, "nothing is asked")) };
    let named = Named::of(scopes, &queries);
    let mut view = View::default();
    let mut failed = Vec::new();
    let looks = in_each(scopes.iter().zip(&queries), |(open, query)| Box::pin(look(open, query))).await;
    for (open, looked) in scopes.iter().zip(looks) {
        match looked {
            Ok(seen) => {
                if let (Some(denied), false) = (&seen.denied, is_only) {
                    failed.push((open.name(), denied.clone()));
                }
                view.add(seen);
            }
            Err(failure) if is_only => return Err(failure),
            Err(failure) => failed.push((open.name(), failure)),
        }
    }
    scopes.without(failed)?;
    let View { nodes, seen, mut excluding, left_out, knows_managed, knows_instances, denied, mut warnings } =
        view;
    // Where somebody could not be asked, nothing is known of these but the id: a condition that could leave them out does.
    let is_partial = !knows_managed || !knows_instances || !scopes.unreached.is_empty();
    let bare = |id: &String| NodeFacts { id: id.clone(), is_partial, ..NodeFacts::default() };
    let mut left_out = left_out;
    let missing = named.0.iter().filter(|(id, _)| !seen.contains(*id));
    let missing = missing.filter(|(id, named)| {
        queries.get(named.query).is_some_and(|query| left_out.decides(query, &bare(id)))
    });
    let mut missing: Vec<String> = missing.map(|(id, _)| id.clone()).collect();
    missing.extend(spec.outside(scopes)?);
    excluding.extend(queries.iter().flat_map(Query::exclusions_of_named));
    // In one place that tells nothing of its nodes they can be tried; in several nobody knows where.
    let can_try = is_only && !knows_managed;
    if nodes.is_empty() && (missing.is_empty() || !can_try) {
        if let Some(denied) = denied.filter(|_| is_only) {
            return Err(denied);
        }
        warnings.extend(scopes.unreached.iter().map(ToString::to_string));
        let mut failure = nothing_matched(&asked, &missing, &left_out, &warnings);
        if spec.conditions().iter().any(|condition| condition.starts_with("asg:")) {
            failure
                .hints
                .insert(0, "`herder nodes summary --by asg` counts the nodes of each group.".to_owned());
        }
        if missing.is_empty() && !excluding.is_empty() {
            failure.message = format!("--exclude leaves out every node that matches `{asked}`");
        } else if let Some(meant) = crate::complete::meant(ctx, spec.conditions()) {
            failure.hints.insert(0, format!("Did you mean `{meant}`?"));
        }
        if is_partial {
            // A part of the view was denied: nobody knows whether there is such a node.
            failure.kind = Kind::Denied;
            failure.hints.insert(
                0,
                "Ask for the permission that is missing: not every node could be seen.".to_owned(),
            );
        }
        return Err(failure);
    }
    if !scopes.unreached.is_empty() && !missing.is_empty() {
        // They may be where nobody could be asked: that nodes are not there is no finding then, and no reason to stop the run.
        warnings.push(left_out_unseen(&missing));
        missing.clear();
    }
    let mut outcomes: BTreeMap<String, Outcome> = BTreeMap::new();
    outcomes.extend(nodes.iter().filter_map(|n| Some((n.id.clone(), judge(n)?))));
    if !can_try {
        outcomes.extend(missing.iter().map(|id| (id.clone(), undelivered(Reason::word("not_found")))));
    }
    let groups: BTreeMap<String, String> =
        nodes.iter().filter_map(|n| Some((n.id.clone(), n.asg.clone()?))).collect();
    let mut all: Vec<Target> = nodes.iter().map(Node::target).collect();
    all.extend(missing.into_iter().map(|id| named.unknown_target(id, scopes.first())));
    let matching = all.len();
    let targets = cut(all, spec.sample, spec.limit).map_err(|_| {
        let message = format!("--sample leaves none of the {matching} nodes that match `{asked}`");
        Failure::new(Kind::NotFound, message).hint("Give a larger share.")
    })?;
    let targets = in_order(targets.as_slice().to_vec(), spec.spread, &groups);
    let judged = targets.iter().enumerate().filter_map(|(n, t)| Some((n, outcomes.remove(&t.id)?))).collect();
    if !is_partial {
        warnings.extend(spec.idle_exclusions(ctx, &excluding));
    }
    warnings.extend(group_warnings);
    warnings.extend(left_out.warnings());
    Ok(Resolved { targets, judged, warnings, is_all: query.is_all(), not_running: left_out.not_running })
}

/// What is said of nodes that were named and seen nowhere, where not every place could be asked.
fn left_out_unseen(missing: &[String]) -> String {
    const NAMED: usize = 3;
    let named: Vec<&str> = missing.iter().take(NAMED).map(String::as_str).collect();
    let more = if missing.len() > NAMED { ", …" } else { "" };
    let (nodes, is) = if missing.len() == 1 { ("node", "is") } else { ("nodes", "are") };
    format!(
        "{} named {nodes} ({}{more}) {is} left out: not seen, and not every account and region could be asked",
        missing.len(),
        named.join(", ")
    )
}

/// What is asked in each account and region, in their order, and what a person should know of it. One where groups can't be looked up
/// is left out of the scopes, as long as another can.
///
/// # Errors
/// A list can't be read, a group is nowhere (exit 3), or AWS can't be asked.
pub(crate) async fn questions(
    ctx: &Ctx,
    scopes: &mut Scopes,
    spec: &TargetSpec,
    stdin: Option<&[u8]>,
) -> Result<(Vec<Query>, Vec<String>), Failure> {
    let is_only = scopes.count() == 1 && scopes.unreached.is_empty();
    let looked_up = in_each(scopes.iter(), |open| Box::pin(spec.groups(open))).await;
    let (mut everywhere, mut failed) = (Vec::new(), Vec::new());
    for (open, groups) in scopes.iter().zip(looked_up) {
        match groups {
            Ok(groups) => everywhere.push(groups),
            // That a group holds no nodes is nobody's outage.
            Err(failure) if is_only || failure.kind == Kind::Usage => return Err(failure),
            Err(failure) => failed.push((open.name(), failure)),
        }
    }
    scopes.without(failed)?;
    require_all(&everywhere.iter().collect::<Vec<_>>())?;
    let queries: Result<_, _> =
        everywhere.iter().map(|groups| spec.query(ctx, scopes, stdin, groups)).collect();
    Ok((queries?, everywhere.into_iter().flat_map(|groups| groups.warnings).collect()))
}

/// What was seen in one account and region.
#[derive(Debug, Default)]
struct Seen {
    nodes: Vec<Node>,
    /// Of the ids that were named, those that exist here.
    named: BTreeSet<String>,
    /// The exclusions that keep a node out, by their position.
    excluding: BTreeSet<usize>,
    left_out: LeftOut,
    fleet: Fleet,
    denied: Option<Failure>,
}

async fn look(open: &OpenScope, query: &Query) -> Result<Seen, Failure> {
    let named = query.named_ids();
    let mut seen = Seen::default();
    let (reach, tags) = (query.reach(), query.tag_values());
    let fleet = fetch(open, &reach, &tags, |page| {
        for node in page {
            let is_named = named.contains(node.id.as_str());
            if is_named {
                seen.named.insert(node.id.clone());
            }
            let facts = node.facts();
            seen.excluding.extend(query.exclusions_of(&facts));
            let is_meant = seen.left_out.decides(query, &facts);
            if is_meant && (is_named || seen.left_out.admits(&node, query.is_all())) {
                seen.nodes.push(node);
            }
        }
    });
    let mut fleet = fleet.await?;
    seen.denied = fleet.denied.take();
    seen.fleet = fleet;
    Ok(seen)
}

/// What was seen everywhere.
#[derive(Debug)]
struct View {
    nodes: Vec<Node>,
    seen: BTreeSet<String>,
    excluding: BTreeSet<usize>,
    left_out: LeftOut,
    knows_managed: bool,
    knows_instances: bool,
    denied: Option<Failure>,
    warnings: Vec<String>,
}

impl Default for View {
    fn default() -> View {
        View {
            nodes: Vec::new(),
            seen: BTreeSet::new(),
            excluding: BTreeSet::new(),
            left_out: LeftOut::default(),
            knows_managed: true,
            knows_instances: true,
            denied: None,
            warnings: Vec::new(),
        }
    }
}

impl View {
    fn add(&mut self, seen: Seen) {
        self.nodes.extend(seen.nodes);
        self.seen.extend(seen.named);
        self.excluding.extend(seen.excluding);
        self.left_out.add(&seen.left_out);
        self.knows_managed &= seen.fleet.knows_managed;
        self.knows_instances &= seen.fleet.knows_instances;
        if self.denied.is_none() {
            self.denied = seen.denied;
        }
        self.warnings.extend(seen.fleet.warnings);
    }
}

fn cut(
    targets: Vec<Target>,
    sample: Option<(Share, u64)>,
    limit: Option<NonZeroUsize>,
) -> Result<Targets, herder_core::target::Empty> {
    let mut targets = Targets::new(targets)?;
    if let Some((share, seed)) = sample {
        targets = targets.sample(share, seed)?;
    }
    Ok(match limit {
        Some(limit) => targets.limit(limit),
        None => targets,
    })
}

/// By name, or so that every wave gets its part of each zone or group.
fn in_order(targets: Vec<Target>, by: Option<Spread>, groups: &BTreeMap<String, String>) -> Vec<Target> {
    match by {
        None => targets,
        Some(Spread::Az) => spread(targets, |t| t.az.clone().unwrap_or_default()),
        Some(Spread::Asg) => spread(targets, |t| groups.get(&t.id).cloned().unwrap_or_default()),
    }
}

fn nothing_matched(asked: &str, missing: &[String], left_out: &LeftOut, warnings: &[String]) -> Failure {
    let mut failure = match missing {
        [] => Failure::new(Kind::NotFound, format!("no node matches `{asked}`")),
        [id] => Failure::new(Kind::NotFound, format!("there is no node `{id}`")),
        ids => Failure::new(Kind::NotFound, format!("none of the {} ids exists", ids.len())),
    };
    failure.causes.extend(warnings.iter().cloned());
    failure.causes.extend(left_out.warnings());
    failure.hint("Look at what is there with `herder nodes list`, and check --region and --profile.")
}

/// What can be said of a node without sending anything.
fn judge(node: &Node) -> Option<Outcome> {
    let reason = match (node.managed, node.ping) {
        (Some(false), _) if !node.is_running() => Reason::word("not_running"),
        (Some(false), _) => Reason::word("not_managed"),
        (_, Some("lost")) => Reason::OFFLINE,
        _ => return None,
    };
    Some(undelivered(reason))
}

fn undelivered(reason: Reason) -> Outcome {
    Outcome::bare(Verdict::Undelivered, Some(reason))
}

/// Instances that conditions match and that no command can be meant for.
#[derive(Debug, Default)]
struct LeftOut {
    not_running: u64,
    not_managed: u64,
    undecided: u64,
}

impl LeftOut {
    fn add(&mut self, other: &LeftOut) {
        self.not_running += other.not_running;
        self.not_managed += other.not_managed;
        self.undecided += other.undecided;
    }

    /// Whether a node is meant; where too little is known of it, it is not.
    fn decides(&mut self, query: &Query, facts: &NodeFacts) -> bool {
        let decided = query.decide(facts);
        self.undecided += u64::from(decided.is_none());
        decided == Some(true)
    }

    /// Stopped instances are only meant when they are named; with `all`, nor are those that Systems Manager doesn't know.
    fn admits(&mut self, node: &Node, is_all: bool) -> bool {
        let is_managed = node.managed != Some(false);
        if !node.is_running() {
            self.not_running += 1;
        } else if !is_managed && is_all {
            self.not_managed += 1;
        } else {
            return true;
        }
        false
    }

    fn warnings(&self) -> Vec<String> {
        let say = |count: u64, what: &str| {
            (count > 0).then(|| {
                format!(
                    "{count} matching {} left out: {what}",
                    if count == 1 { "instance is" } else { "instances are" }
                )
            })
        };
        let undecided = (self.undecided > 0).then(|| {
            let nodes = if self.undecided == 1 { "node is" } else { "nodes are" };
            format!(
                "{} {nodes} left out: too little is known to tell whether the conditions hold",
                self.undecided
            )
        });
        [
            say(self.not_running, "not running"),
            say(self.not_managed, "not managed by Systems Manager"),
            undecided,
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// Lists of nodes that are kept elsewhere.
struct Lists<'a> {
    ctx: &'a Ctx,
    scopes: &'a Scopes,
    stdin: Option<&'a [u8]>,
    groups: &'a Groups,
}

impl Lists<'_> {
    fn replace(&self, selectors: Vec<Selector>) -> Result<Vec<Selector>, Failure> {
        let mut replace = |term: &Term| match term {
            Term::Source(source) => self.read(source).map(|set| Some(Term::Nodes(set))),
            term => Ok(self.groups.term(term)),
        };
        selectors.into_iter().map(|selector| selector.replace_terms(&mut replace)).collect()
    }

    fn read(&self, source: &Source) -> Result<NodeSet, Failure> {
        let parse = |bytes: &[u8], what: &str| {
            let listed = parse_list(bytes).map_err(|error| {
                Failure::usage(format!("{what} is not a list of nodes")).caused_by(&error)
            })?;
            Ok(listed.into_iter().map(|listed| listed.node).collect())
        };
        match source {
            Source::File(path) => {
                let bytes = std::fs::read(path)
                    .map_err(|error| Failure::usage(format!("could not read `{path}`")).caused_by(&error))?;
                parse(&bytes, &format!("`{path}`"))
            }
            Source::Stdin => parse(self.stdin.unwrap_or_default(), "standard input"),
            Source::Run(run, which) => self.of_run(run, *which),
        }
    }

    fn of_run(&self, run: &RunRef, which: Which) -> Result<NodeSet, Failure> {
        let directory = find_run(self.ctx, run)?;
        let record = directory.record()?;
        super::runs::check_identity(&record, self.scopes)?;
        let replay = Replay::read(&directory)?;
        let targets = directory.targets()?;
        let chosen = targets.into_iter().zip(&replay.verdicts).filter(|(_, verdict)| match verdict {
            Some(verdict) => which.includes(*verdict),
            // Still open: nobody knows yet.
            None => matches!(which, Which::All | Which::Verdict(Verdict::Unknown)),
        });
        Ok(chosen.map(|(target, _)| target.id).collect())
    }
}

/// The run that is meant.
///
/// # Errors
/// There is none.
pub(crate) fn find_run(ctx: &Ctx, run: &RunRef) -> Result<RunDirectory, Failure> {
    let runs = ctx.runs();
    match run {
        RunRef::Id(id) => runs.open(id).map_err(|error| {
            let all = runs.list().unwrap_or_default();
            match suggest(id.as_str(), all.iter().map(RunId::as_str)) {
                Some(meant) => Failure::from(error).hint(format!("Did you mean `{meant}`?")),
                None => error.into(),
            }
        }),
        RunRef::Last => {
            let latest = runs.list()?.into_iter().next();
            let latest = latest.ok_or_else(|| Failure::new(Kind::NotFound, "there are no runs yet"))?;
            Ok(runs.open(&latest)?)
        }
    }
}
