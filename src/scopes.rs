//! [`Scopes`]: the accounts and regions that a command works in, opened once and asked side by side.

mod asked;
mod first;

use std::collections::BTreeSet;
use std::fmt;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use futures_util::future::BoxFuture;
use herder_aws::{AssumeRole, Meter, MeterOptions, Scope, ScopeError, ScopeOptions};
use herder_core::event::LeftOut;
use herder_core::journal::{Identity, RunRecord};
use herder_core::limit::{LearnedRates, LimitKey};
use jiff::Timestamp;

use self::asked::{AccountRef, Accounts, Regions};
use crate::ctx::{Ctx, OnThrottle, mfa_prompt};
use crate::exit::Exit;
use crate::failure::{Failure, Kind};
use crate::io::Io;
use crate::ops::place::in_each;
use crate::settings::{Setting, Source};

/// Accounts that are opened at once: each is one `AssumeRole`.
const AT_ONCE: usize = 20;
/// Where to ask for the list of regions if no region is set, or if the one that is set is down. The first is one that no
/// account can switch off.
const FIRST_REGIONS: [&str; 2] = ["us-east-1", "eu-west-1"];

/// One account and region, its quotas, and who is calling.
#[derive(Clone, Debug)]
pub(crate) struct OpenScope {
    /// The services.
    pub(crate) scope: Scope,
    /// Who, where.
    pub(crate) identity: Identity,
    /// Instances that EC2 has described so far.
    pub(crate) found: Arc<AtomicUsize>,
    /// What is seen of nodes, for completions.
    pub(crate) gathered: Arc<crate::complete::Gathered>,
    /// Sends a second that earlier runs learned.
    pub(crate) send_rate: Option<f64>,
    /// Pages of results a second, likewise.
    pub(crate) read_rate: Option<f64>,
}

impl OpenScope {
    /// `account/region`.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.identity.account, self.identity.region)
    }
}

/// An account or region that was asked for and can't be worked in.
#[derive(Clone, Debug)]
pub(crate) struct Unreached {
    /// `account`, or `account/region`.
    pub(crate) name: String,
    /// Why.
    pub(crate) why: String,
    /// What kind of failure it was.
    kind: Kind,
}

impl Unreached {
    /// As the first event of a run tells of it.
    pub(crate) fn told(&self) -> LeftOut {
        LeftOut { scope: self.name.clone(), reason: self.why.clone() }
    }

    fn new(name: String, failure: &Failure) -> Unreached {
        Unreached { name, why: why(failure), kind: failure.kind }
    }
}

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is left out: {}", self.name, self.why)
    }
}

/// Every account and region that a command works in, at least one, each once.
#[derive(Debug)]
pub(crate) struct Scopes {
    open: Vec<OpenScope>,
    meter: Arc<Meter>,
    /// The name of the role, where one was asked for.
    pub(crate) role: Option<String>,
    /// What was asked for and is not among them.
    pub(crate) unreached: Vec<Unreached>,
    /// What a person should know.
    pub(crate) warnings: Vec<String>,
}

impl Scopes {
    /// These, in the order that was asked for.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, OpenScope> {
        self.open.iter()
    }

    /// The only one, or the first of several.
    pub(crate) fn first(&self) -> &OpenScope {
        &self.open[0]
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.open.len()
    }

    /// The one of that account and region.
    pub(crate) fn get(&self, account: &str, region: &str) -> Option<&OpenScope> {
        self.open.iter().find(|s| s.identity.account == account && s.identity.region == region)
    }

    /// Whether all of it is simulated.
    pub(crate) fn is_simulated(&self) -> bool {
        self.first().identity.sim
    }

    /// Their quotas.
    pub(crate) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Account ids, each once.
    pub(crate) fn accounts(&self) -> Vec<String> {
        each_once(self.iter().map(|s| &s.identity.account))
    }

    /// Regions, each once.
    pub(crate) fn regions(&self) -> Vec<String> {
        each_once(self.iter().map(|s| &s.identity.region))
    }

    /// Where it is, for people: `account 111122223333 in eu-west-1`, `4 accounts and 3 regions`.
    pub(crate) fn place(&self) -> String {
        let (accounts, regions) = (self.accounts(), self.regions());
        if self.is_simulated() && self.count() == 1 {
            return "the simulator".to_owned();
        }
        let place = |items: &[String], what: &str| match items {
            [one] => one.clone(),
            several => format!("{} {what}", several.len()),
        };
        match accounts.len() {
            1 => format!("account {} in {}", place(&accounts, ""), place(&regions, "regions")),
            n => format!("{n} accounts in {}", place(&regions, "regions")),
        }
    }

    /// Keeps what was learned of the quotas. A cache that can't be written costs nothing but speed.
    pub(crate) fn keep_learned(&self, now: Timestamp) {
        let _ = self.meter.save(now);
    }

    /// Says what a person should know of them.
    pub(crate) fn warn(&self, io: &Io) {
        let unreached = self.unreached.iter().map(ToString::to_string);
        for warning in self.warnings.iter().cloned().chain(unreached) {
            let _ = writeln!(io.stderr(), "warning: {warning}");
        }
    }

    /// The exit of a command that did what it could: not everything was asked that should have been where one is left out.
    pub(crate) fn exit(&self) -> Exit {
        if self.unreached.is_empty() { Exit::Success } else { Exit::Failed }
    }

    /// Leaves out those that can't be worked in after all.
    ///
    /// # Errors
    /// None is left: the failure of the first.
    pub(crate) fn without(&mut self, failed: Vec<(String, Failure)>) -> Result<(), Failure> {
        let names: BTreeSet<&str> = failed.iter().map(|(name, _)| name.as_str()).collect();
        let left: Vec<OpenScope> =
            self.open.iter().filter(|s| !names.contains(s.name().as_str())).cloned().collect();
        if left.is_empty() {
            return match failed.into_iter().next() {
                Some((_, failure)) => Err(failure),
                None => Err(Failure::new(Kind::Bug, "there is no scope")),
            };
        }
        self.open = left;
        self.unreached.extend(failed.into_iter().map(|(name, failure)| Unreached::new(name, &failure)));
        Ok(())
    }

    /// Those of a run, in its order.
    ///
    /// # Errors
    /// One of them is not open here.
    fn of_run(mut self, record: &RunRecord) -> Result<Scopes, Failure> {
        for wanted in record.identities() {
            let place = format!("{}/{}", wanted.account, wanted.region);
            let is_unreached =
                |unreached: &&Unreached| [&wanted.account, &wanted.region, &place].contains(&&unreached.name);
            if self.get(&wanted.account, &wanted.region).is_none()
                && let Some(unreached) = self.unreached.iter().find(is_unreached)
            {
                let message = format!(
                    "run {} has targets in {place}, which can't be worked in: {}",
                    record.run, unreached.why
                );
                return Err(Failure::new(unreached.kind, message)
                    .hint("Its nodes can't be told of without it. Try again when it can be entered."));
            }
        }
        super::ops::runs::check_identity(record, &self)?;
        let wanted = record.identities().iter();
        self.open = wanted.filter_map(|i| self.get(&i.account, &i.region).cloned()).collect();
        Ok(self)
    }
}

impl<'a> IntoIterator for &'a Scopes {
    type Item = &'a OpenScope;
    type IntoIter = std::slice::Iter<'a, OpenScope>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

fn each_once<'a>(items: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    items.filter(|item| seen.insert(*item)).cloned().collect()
}

/// A failure on one line.
fn why(failure: &Failure) -> String {
    std::iter::once(&failure.message).chain(failure.causes.first()).cloned().collect::<Vec<_>>().join(": ")
}

impl Ctx {
    /// Opens the accounts and regions that the settings name. One that can't be opened is left out, as long as another can.
    ///
    /// # Errors
    /// What was asked for makes no sense (exit 2); there are no credentials, or none of it can be opened.
    pub(crate) async fn open_scopes(&self, on_throttle: Option<OnThrottle>) -> Result<Scopes, Failure> {
        let regions = Regions::parse(self.asked(&self.settings.region))?;
        let accounts = Accounts::parse(self.asked(&self.settings.account))?;
        let role = self.asked(&self.settings.assume_role).map(|s| s.value.clone());
        self.open(Opening { ctx: self, regions, accounts, role, meter: self.new_meter(on_throttle) }).await
    }

    /// Opens the accounts and regions of a run. What the flags name stands; what they leave open is as the run had it.
    ///
    /// # Errors
    /// It is a run of another account, region, endpoint or principal (exit 8), or one of them can't be opened.
    pub(crate) async fn open_scopes_of(
        &self,
        record: &RunRecord,
        on_throttle: Option<OnThrottle>,
    ) -> Result<Scopes, Failure> {
        let of_run = |items: Vec<&String>| each_once(items.into_iter());
        let regions = match Regions::parse(self.asked(&self.settings.region))? {
            Regions::Usual => Regions::Named(of_run(record.identities().iter().map(|i| &i.region).collect())),
            asked => asked,
        };
        let role =
            self.asked(&self.settings.assume_role).map(|s| s.value.clone()).or_else(|| record.role.clone());
        let ids = of_run(record.identities().iter().map(|i| &i.account).collect());
        let accounts = match Accounts::parse(self.asked(&self.settings.account))? {
            Accounts::Usual if record.identities().len() > 1 && role.is_some() => {
                Accounts::Asked(ids.into_iter().map(AccountRef::Id).collect())
            }
            asked => asked,
        };
        let opening = Opening { ctx: self, regions, accounts, role, meter: self.new_meter(on_throttle) };
        self.open(opening).await?.of_run(record)
    }

    /// Boxed and without its type: the SDK's futures are nested more deeply than the compiler follows.
    fn open<'a>(&'a self, opening: Opening<'a>) -> BoxFuture<'a, Result<Scopes, Failure>> {
        Box::pin(opening.open())
    }

    /// A setting, as far as it counts here: a simulator takes no notice of what was configured for an account.
    fn asked<'a>(&self, setting: &'a Option<Setting<String>>) -> Option<&'a Setting<String>> {
        setting.as_ref().filter(|setting| self.sim.is_none() || setting.source == Source::Flag)
    }

    fn new_meter(&self, on_throttle: Option<OnThrottle>) -> Arc<Meter> {
        // A simulator's quotas teach nothing about an account's.
        let learned = match &self.sim {
            Some(_) => None,
            None => self.settings.cache_dir.as_ref().map(|dir| dir.join("limits.json")),
        };
        let options = MeterOptions { learned, now: Some(self.clock.now()), seed: self.seed, on_throttle };
        Arc::new(Meter::new(options))
    }
}

/// What is to be opened.
struct Opening<'a> {
    ctx: &'a Ctx,
    regions: Regions,
    accounts: Accounts,
    role: Option<String>,
    meter: Arc<Meter>,
}

impl Opening<'_> {
    async fn open(self) -> Result<Scopes, Failure> {
        if let (Accounts::Asked(accounts), None) = (&self.accounts, &self.role)
            && accounts.iter().any(|account| !matches!(account, AccountRef::Id(_)))
        {
            return Err(needs_role());
        }
        let base = self.base().await?;
        let mut scopes = Scopes {
            open: Vec::new(),
            meter: Arc::clone(&self.meter),
            role: self.role.clone(),
            unreached: Vec::new(),
            warnings: Vec::new(),
        };
        let mut first_error = None;
        let accounts = self.accounts(base, &mut scopes, &mut first_error).await?;
        let asked = self.learned_rates();
        for opened in in_each(&accounts, |account| self.in_regions(account)).await {
            match opened {
                Ok(opened) => scopes.open.extend(opened),
                Err((name, failure)) => {
                    scopes.unreached.push(Unreached::new(name, &failure));
                    first_error.get_or_insert(failure);
                }
            }
        }
        for open in &mut scopes.open {
            let learned = |api| {
                let key = LimitKey::new(&open.identity.account, &open.identity.region, api);
                asked.as_ref().and_then(|rates| rates.rate(&key, self.ctx.clock.now()))
            };
            (open.send_rate, open.read_rate) = (learned("SendCommand"), learned("ListCommandInvocations"));
        }
        match (scopes.open.is_empty(), first_error) {
            (false, _) => {}
            (true, Some(error)) => return Err(error),
            (true, None) => return Err(Failure::new(Kind::NotFound, "no account or region was found")),
        }
        if scopes.is_simulated()
            && let Some(terminal) = &self.ctx.terminal
        {
            terminal.note_simulated();
        }
        Ok(scopes)
    }

    fn learned_rates(&self) -> Option<LearnedRates> {
        if self.ctx.sim.is_some() {
            return None;
        }
        Some(LearnedRates::load(&self.ctx.settings.cache_dir.as_ref()?.join("limits.json")).0)
    }

    /// The caller's own account, in the first region where it can be asked who it is.
    async fn base(&self) -> Result<Scope, Failure> {
        let role = match &self.accounts {
            Accounts::Usual => self.role.clone(),
            Accounts::Asked(_) => None,
        };
        let (first, others) = match &self.regions {
            Regions::Named(names) => (names.first().cloned(), names.get(1..).unwrap_or_default()),
            Regions::Usual => (None, &[][..]),
            Regions::All => (None, &FIRST_REGIONS.map(str::to_owned)[..]),
        };
        let opened = Scope::open(self.options(first, role.clone()), Arc::clone(&self.meter)).await;
        let base = match opened {
            // All regions can be asked for without naming one.
            Err(ScopeError::NoRegion { .. }) if self.regions == Regions::All => {
                let first = Some(FIRST_REGIONS[0].to_owned());
                Scope::open(self.options(first, role), Arc::clone(&self.meter)).await?
            }
            opened => opened?,
        };
        let mut error = match base.identity().await {
            Ok(_) => return Ok(base),
            Err(error) => error,
        };
        for region in others {
            // A region that is down is no reason not to work in the others.
            let next = base.in_region(region)?;
            match next.identity().await {
                Ok(_) => return Ok(next),
                Err(next) => error = next,
            }
        }
        Err(error.into())
    }

    fn options(&self, region: Option<String>, role: Option<String>) -> ScopeOptions {
        let variables = self.ctx.environment.all().clone();
        let environment = herder_aws::Environment::new(move |name| variables.get(name).cloned());
        let mut endpoint = self.ctx.sim.as_ref().map(|sim| sim.endpoint());
        if let (Some(endpoint), Some(region)) = (&mut endpoint, &region) {
            endpoint.region.clone_from(region);
        }
        ScopeOptions {
            profile: self.ctx.settings.profile.as_ref().map(|s| s.value.clone()),
            region,
            assume_role: role.map(|role| AssumeRole { role, account: None, external_id: None }),
            endpoint,
            mfa: self.ctx.terminal.clone().map(mfa_prompt),
            ..ScopeOptions::new(environment)
        }
    }

    /// A scope in each account that is asked for.
    async fn accounts(
        &self,
        base: Scope,
        scopes: &mut Scopes,
        first_error: &mut Option<Failure>,
    ) -> Result<Vec<Scope>, Failure> {
        let Accounts::Asked(asked) = &self.accounts else { return Ok(vec![base]) };
        let own = base.identity().await?.account;
        let mut ids: Vec<String> = Vec::new();
        for account in asked {
            match account {
                AccountRef::Id(id) => ids.push(id.clone()),
                AccountRef::Unit(unit) => ids.extend(base.organizations().accounts_below(unit).await?),
                AccountRef::Organization => ids.extend(base.organizations().accounts().await?),
            }
        }
        let ids = each_once(ids.iter());
        let Some(role) = &self.role else {
            return if ids == [own] { Ok(vec![base]) } else { Err(needs_role()) };
        };
        if role.starts_with("arn:") && ids.len() > 1 {
            return Err(Failure::usage(
                "--assume-role names a role of one account, and several were asked for",
            )
            .hint("Give the role's name: it is assumed in each account."));
        }
        let mut opened = Vec::with_capacity(ids.len());
        for ids in ids.chunks(AT_ONCE) {
            let role =
                |id: &String| AssumeRole { role: role.clone(), account: Some(id.clone()), external_id: None };
            let through = in_each(ids, |id| in_account(&base, role(id))).await;
            for (id, through) in ids.iter().zip(through) {
                match through {
                    Ok(scope) => opened.push(scope),
                    // Whoever manages an organization seldom has its members' role at home.
                    Err(failure) if *id == own && failure.kind == Kind::Denied => {
                        scopes.warnings.push(format!(
                            "{id} is your own account, used without a role: {}",
                            why(&failure)
                        ));
                        opened.push(base.clone());
                    }
                    Err(failure) => {
                        scopes.unreached.push(Unreached::new(id.clone(), &failure));
                        first_error.get_or_insert(failure);
                    }
                }
            }
        }
        Ok(opened)
    }

    /// The regions of an account.
    async fn in_regions(&self, account: &Scope) -> Result<Vec<OpenScope>, (String, Failure)> {
        let identity = match account.identity().await {
            Ok(identity) => identity,
            Err(error) => return Err((account.region().to_owned(), error.into())),
        };
        let failed = |failure: Failure| (identity.account.clone(), failure);
        let names = match &self.regions {
            Regions::Usual => vec![account.region().to_owned()],
            Regions::Named(names) => names.clone(),
            Regions::All => account.ec2().regions().await.map_err(|error| failed(error.into()))?,
        };
        let open = |name: &String| -> Result<OpenScope, Failure> {
            let scope = if name == account.region() { account.clone() } else { account.in_region(name)? };
            let sim = &self.ctx.sim;
            let identity = Identity {
                account: identity.account.clone(),
                region: name.clone(),
                principal: identity.principal().to_owned(),
                // An in-process simulator has another port each time: it is named by what it is.
                endpoint: match sim {
                    Some(sim) => Some(sim.name().to_owned()),
                    None => scope.endpoint().map(str::to_owned),
                },
                sim: sim.is_some() || account.is_simulated(),
            };
            Ok(OpenScope {
                scope,
                identity,
                found: Arc::clone(&self.ctx.found),
                gathered: Arc::clone(&self.ctx.gathered),
                send_rate: None,
                read_rate: None,
            })
        };
        names.iter().map(open).collect::<Result<_, _>>().map_err(failed)
    }
}

async fn in_account(base: &Scope, role: AssumeRole) -> Result<Scope, Failure> {
    let scope = base.in_account(role).await?;
    scope.identity().await?;
    Ok(scope)
}

fn needs_role() -> Failure {
    Failure::usage("--account names other accounts, and no role to enter them with")
        .hint("Give --assume-role NAME: a role of that name is assumed in each of them.")
}
