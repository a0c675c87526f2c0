//! `herder session cp -t`: files to and from many nodes, as a run.

use std::path::Path;

use herder_core::target::{Platform, Target};
use herder_session::copy::Place;

use super::cp::{KEYWORDS, SessionCpArgs, check_source, for_no_windows};
use crate::args::{RolloutArgs, ViaChoice};
use crate::commands::exec::{Launch, Piped, blocking, read_stdin};
use crate::commands::while_looking;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::io::Io;
use crate::ops::copies::{
    CopiesOptions, CopiesPreview, CopyRecipe, Direction, look_at_source, prepare, preview, require_repeatable,
};
use crate::ops::exec::Rollout;
use crate::ops::run::ThrottleEvents;
use crate::ops::targets::{Resolved, TargetSpec, resolve};
use crate::render::Column;

const PLAN_COLUMNS: [Column; 9] = [
    Column::usual("target"),
    Column::usual("name"),
    Column::usual("wave"),
    Column::usual("az"),
    Column::usual("platform"),
    Column::usual("to"),
    Column::usual("judged"),
    Column::extra("account"),
    Column::extra("region"),
];

pub(super) async fn run(ctx: &Ctx, io: &Io, args: &SessionCpArgs) -> Result<Exit, Failure> {
    let recipe = recipe(args)?;
    let spec = TargetSpec::new(&args.targets, args.rollout.spread, ctx)?;
    let listed = match spec.reads_stdin() {
        true => Some(read_stdin(ctx, io, Piped::Targets).await?),
        false => None,
    };
    if !args.rollout.dry_run {
        ctx.runs().check_writable()?;
    }
    let throttles = ThrottleEvents::default();
    let looking = ctx.until_interrupted(async {
        let mut scopes = Box::pin(ctx.open_scopes(Some(throttles.observer()))).await?;
        let resolved = Box::pin(resolve(ctx, &mut scopes, spec, listed.as_deref())).await?;
        Ok((scopes, resolved))
    });
    let (scopes, resolved) = while_looking(ctx, io, looking).await?;
    let launch = Launch { ctx, io, scopes: &scopes, throttles: &throttles, output: &args.output };
    Copying { launch: &launch, rollout: &args.rollout }.run(recipe, resolved).await
}

/// What a run of copies is launched with.
pub(crate) struct Copying<'a> {
    pub(crate) launch: &'a Launch<'a>,
    pub(crate) rollout: &'a RolloutArgs,
}

impl Copying<'_> {
    /// Shows the plan, or asks and carries it out.
    pub(crate) async fn run(&self, recipe: CopyRecipe, mut resolved: Resolved) -> Result<Exit, Failure> {
        let Launch { ctx, scopes, throttles, .. } = *self.launch;
        let is_windows = |target: &Target| target.platform == Some(Platform::Windows);
        if !resolved.targets.is_empty() && resolved.targets.iter().all(is_windows) {
            return Err(for_no_windows("these nodes are all Windows nodes"));
        }
        let count = resolved.targets.len() as u64;
        let (rollout, waves) = self.rollout.resolve(count)?;
        resolved.warnings.extend(self.rollout.wave_warnings(count));
        let recipe = CopyRecipe { rollout, ..recipe };
        let looked_at = recipe.clone();
        let source = ctx.until_interrupted(blocking(move || look_at_source(&looked_at))).await??;
        let options = CopiesOptions::new(recipe, source, (resolved, waves), crate::io::umask());
        let checked = self.launch.check(&options.recipe.rollout).await?;
        if self.rollout.dry_run {
            checked.require_all()?;
            return self.show_plan(&options, checked.lines());
        }
        self.launch.confirm(&options.resolved, &options.recipe.deed()).await?;
        checked.allow()?;
        self.launch.output.make_out_dir()?;
        let prepared = prepare(ctx, scopes, throttles, options, checked)?;
        Ok(self.launch.drive(prepared, |_, _| Ok(())).await?.exit)
    }

    /// `--dry-run`. The list of targets is data, what it comes to is talk.
    fn show_plan(&self, options: &CopiesOptions, guards: Vec<String>) -> Result<Exit, Failure> {
        let CopiesPreview { targets, comes, lines } = preview(self.launch.scopes, options);
        self.launch.write_plan(lines.into_iter().chain(guards), &comes, (&PLAN_COLUMNS, &targets))
    }
}

/// What is meant by the two sides.
fn recipe(args: &SessionCpArgs) -> Result<CopyRecipe, Failure> {
    if args.rollout.via == ViaChoice::Service {
        return Err(Failure::usage("--via service carries no files")
            .hint("Copies go through sessions of this herder's own: leave --via away."));
    }
    let place = |text: &str| Place::parse(text, &KEYWORDS).map_err(|error| Failure::usage(error.to_string()));
    let wrong = |what: &str| {
        Err(Failure::usage(what).hint(
            "With -t one side is :PATH, on every node that is chosen: herder session cp app.conf :/etc/app.conf -t tag:role=web",
        ))
    };
    let (direction, local, remote) = match (place(&args.source)?, place(&args.destination)?) {
        (Place::Local(path), Place::Elsewhere(_)) => {
            check_source(&path, args.recursive)?;
            require_repeatable(&path)?;
            (Direction::Upload, path, &args.destination)
        }
        (Place::Elsewhere(_), Place::Local(path)) => {
            check_directory(&path)?;
            (Direction::Download, path, &args.source)
        }
        (Place::Remote { .. }, _) | (_, Place::Remote { .. }) => {
            return wrong("a node is named with -t and in the path as well");
        }
        (Place::Stream, _) | (_, Place::Stream) => {
            return Err(Failure::usage("a stream can't be copied to or from many nodes").hint(
                "Write standard input to a file first; what comes from many nodes goes into a directory.",
            ));
        }
        (Place::Elsewhere(_), Place::Elsewhere(_)) => {
            return wrong("a copy is between this machine and nodes, not between nodes");
        }
        _ => return wrong("neither side of the copy is on the nodes"),
    };
    let local = std::path::absolute(&local)
        .map_err(|error| Failure::usage(format!("`{}` is not a path", local.display())).caused_by(&error))?;
    Ok(CopyRecipe {
        direction,
        local,
        remote: remote.strip_prefix(':').unwrap_or(remote).to_owned(),
        recursive: args.recursive,
        preserve: args.preserve,
        afresh: args.no_resume,
        base64: args.base64,
        reason: args.rollout.reason.clone(),
        rollout: Rollout::default(),
        source: String::new(),
    })
}

/// Files of many nodes need a directory, which is made where there is none.
fn check_directory(path: &Path) -> Result<(), Failure> {
    match std::fs::metadata(path) {
        Ok(metadata) if !metadata.is_dir() => {
            Err(Failure::usage(format!("`{}` is no directory", path.display()))
                .hint("What comes from many nodes goes into a directory for each of them."))
        }
        _ => Ok(()),
    }
}
