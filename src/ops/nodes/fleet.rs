//! Fetching the fleet in as few calls as can be: EC2 pages of 1,000 and SSM pages of 1,000, side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use herder_aws::ec2::{DescribeError, Instance, InstancesQuery};
use herder_aws::ssm::{ManagedNode, NodesQuery};
use herder_aws::{CallError, CallErrorKind};
use herder_core::target::{Filter, Reach};
use tokio::sync::mpsc;

use super::Node;
use crate::failure::Failure;
use crate::scopes::OpenScope;

/// Up to so many nodes are asked for by id; beyond that the whole listing takes fewer calls (pages of 1,000 against 40 ids).
const BY_ID: usize = 200;
/// `DescribeInstanceProperties` takes so many values in a filter.
const MAX_IDS: usize = 40;
/// `DescribeInstances` takes so many values in its filters.
const MAX_VALUES: usize = 200;

/// Names and their alternatives; all must hold.
type Filters = Vec<(String, Vec<String>)>;

/// What a fetch could not see.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fleet {
    /// Whether Systems Manager could be asked.
    pub(crate) knows_managed: bool,
    /// Whether EC2 could be asked.
    pub(crate) knows_instances: bool,
    /// The denial, where neither could be asked: nothing is known of any node.
    pub(crate) denied: Option<Failure>,
    /// What a person should know.
    pub(crate) warnings: Vec<String>,
}

/// Fetches the nodes within reach; hands over groups as they are complete: of the whole fleet, pages of EC2 as they arrive, once
/// Systems Manager's listing is there. `tags` are what conditions ask for: of nodes that
/// EC2 does not describe they are found out one by one.
///
/// # Errors
/// EC2 or Systems Manager can't be asked for a reason other than missing permission. Where one of the two is denied, the other's view is
/// given with a warning.
pub(crate) async fn fetch(
    open: &OpenScope,
    reach: &Reach,
    tags: &BTreeSet<(String, String)>,
    mut take: impl FnMut(Vec<Node>),
) -> Result<Fleet, Failure> {
    let fleet = Fleet { knows_managed: true, knows_instances: true, ..Fleet::default() };
    let mut fetch = Fetch { open, tags, fleet };
    let mut take = |nodes: Vec<Node>| {
        open.gathered.nodes(&open.identity, &nodes);
        take(nodes);
    };
    match reach {
        Reach::Everything => {
            fetch.everything(&mut take).await?;
            if fetch.fleet.knows_managed && fetch.fleet.knows_instances {
                open.gathered.all(&open.identity);
            }
        }
        Reach::Some { ids, filters, hybrid } => {
            let nodes = fetch.some(ids, filters, *hybrid).await?;
            take(nodes);
        }
    }
    Ok(fetch.fleet)
}

struct Fetch<'a> {
    open: &'a OpenScope,
    tags: &'a BTreeSet<(String, String)>,
    fleet: Fleet,
}

impl Fetch<'_> {
    fn merge(&self, instance: Option<Instance>, managed: Option<ManagedNode>) -> Node {
        let identity = &self.open.identity;
        let mut node = Node::merge(&identity.account, &identity.region, instance, managed);
        if !self.fleet.knows_managed {
            node.managed = None;
        }
        node
    }

    /// Both listings at once; EC2's pages are handed on as soon as SSM's listing is complete.
    async fn everything(&mut self, take: &mut impl FnMut(Vec<Node>)) -> Result<(), Failure> {
        let (pages, mut arrived) = mpsc::unbounded_channel();
        let open = self.open;
        let instances = instances(open, vec![Vec::new()], pages);
        let everything = NodesQuery::default();
        let managed = managed(open, &everything);
        let mut managed = std::pin::pin!(managed);
        let mut instances = std::pin::pin!(instances);
        let mut known: Option<BTreeMap<String, ManagedNode>> = None;
        let mut is_described = false;
        // Pages of EC2 wait until Systems Manager's listing is complete, then they are handed on as they arrive.
        while known.is_none() || !is_described {
            tokio::select! {
                result = &mut managed, if known.is_none() => known = Some(self.or_warn(result)?),
                result = &mut instances, if !is_described => {
                    is_described = true;
                    self.or_warn(result)?;
                }
                Some(page) = arrived.recv(), if known.is_some() => take(self.merged(page, known.as_mut())),
            }
        }
        arrived.close();
        while let Some(page) = arrived.recv().await {
            take(self.merged(page, known.as_mut()));
        }
        let known = known.unwrap_or_default();
        let rest = known.into_values().map(|m| self.merge(None, Some(m))).collect();
        take(self.with_tags(rest).await?);
        Ok(())
    }

    fn merged(
        &self,
        page: Vec<Instance>,
        mut known: Option<&mut BTreeMap<String, ManagedNode>>,
    ) -> Vec<Node> {
        let merge = |instance: Instance| {
            let managed = known.as_mut().and_then(|known| known.remove(&instance.id));
            self.merge(Some(instance), managed)
        };
        page.into_iter().map(merge).collect()
    }

    async fn some(
        &mut self,
        ids: &BTreeSet<String>,
        filters: &[Vec<Filter>],
        hybrid: bool,
    ) -> Result<Vec<Node>, Failure> {
        let mut found: BTreeMap<String, Instance> = BTreeMap::new();
        let (pages, mut arrived) = mpsc::unbounded_channel();
        let pair = |filter: &Filter| (filter.name.clone(), filter.values.clone());
        let mut queries: Vec<Filters> = filters.iter().map(|all| all.iter().map(pair).collect()).collect();
        // As a filter, an id that does not exist is no error.
        let ec2_ids: Vec<String> = ids.iter().filter(|id| id.starts_with("i-")).cloned().collect();
        queries.extend(ec2_ids.chunks(MAX_VALUES).map(|ids| vec![("instance-id".to_owned(), ids.to_vec())]));
        let result = instances(self.open, queries, pages).await;
        self.or_warn(result)?;
        while let Some(page) = arrived.recv().await {
            found.extend(page.into_iter().map(|i| (i.id.clone(), i)));
        }
        let wanted: BTreeSet<String> = found.keys().cloned().chain(ids.iter().cloned()).collect();
        let mut known = self.managed_of(&wanted).await?;
        if hybrid {
            self.add_hybrid(&mut known).await?;
        }
        let mut nodes = Vec::with_capacity(found.len());
        for (id, instance) in found {
            let managed = known.remove(&id);
            nodes.push(self.merge(Some(instance), managed));
        }
        let hybrid_nodes: Vec<Node> = known.into_values().map(|m| self.merge(None, Some(m))).collect();
        nodes.extend(self.with_tags(hybrid_nodes).await?);
        Ok(nodes)
    }

    async fn managed_of(
        &mut self,
        wanted: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, ManagedNode>, Failure> {
        if wanted.is_empty() {
            return Ok(BTreeMap::new());
        }
        if wanted.len() > BY_ID {
            let listed = managed(self.open, &NodesQuery::default()).await;
            let mut all = self.or_warn(listed)?;
            all.retain(|id, _| wanted.contains(id));
            return Ok(all);
        }
        let wanted: Vec<String> = wanted.iter().cloned().collect();
        let mut found = BTreeMap::new();
        for ids in wanted.chunks(MAX_IDS) {
            let listed = managed(self.open, &NodesQuery { ids: ids.to_vec(), ..NodesQuery::default() }).await;
            found.extend(self.or_warn(listed)?);
        }
        Ok(found)
    }

    async fn add_hybrid(&mut self, known: &mut BTreeMap<String, ManagedNode>) -> Result<(), Failure> {
        let listed = managed(self.open, &NodesQuery::default()).await;
        let all = self.or_warn(listed)?;
        known.extend(all.into_iter().filter(|(id, _)| id.starts_with("mi-")));
        Ok(())
    }

    /// SSM tells the tags of a node that EC2 does not describe only by filtering: one listing for each value that is asked for.
    async fn with_tags(&mut self, mut nodes: Vec<Node>) -> Result<Vec<Node>, Failure> {
        if nodes.is_empty() {
            return Ok(nodes);
        }
        for (key, value) in self.tags {
            let tags = vec![(key.clone(), vec![value.clone()])];
            let listed = managed(self.open, &NodesQuery { tags, ..NodesQuery::default() }).await;
            let tagged = self.or_warn(listed)?;
            if !self.fleet.knows_managed {
                break;
            }
            for node in &mut nodes {
                if tagged.contains_key(&node.id) {
                    node.tags.get_or_insert_default().insert(key.clone(), value.clone());
                } else {
                    node.lacks.insert((key.clone(), value.clone()));
                }
            }
        }
        Ok(nodes)
    }

    /// A permission that is missing costs its half of the view; anything else ends the command.
    fn or_warn<T: Default>(&mut self, result: Result<T, CallError>) -> Result<T, Failure> {
        match result {
            Ok(value) => Ok(value),
            Err(error) if matches!(error.kind, CallErrorKind::AccessDenied { .. }) => {
                let fleet = &mut self.fleet;
                match error.service {
                    "ssm" => fleet.knows_managed = false,
                    _ => fleet.knows_instances = false,
                }
                let warning = error.to_string();
                if !fleet.warnings.contains(&warning) {
                    fleet.warnings.push(warning);
                }
                if !fleet.knows_managed && !fleet.knows_instances {
                    fleet.denied.get_or_insert_with(|| error.into());
                }
                Ok(T::default())
            }
            Err(error) => Err(error.into()),
        }
    }
}

async fn instances(
    open: &OpenScope,
    queries: Vec<Filters>,
    pages: mpsc::UnboundedSender<Vec<Instance>>,
) -> Result<(), CallError> {
    let ec2 = open.scope.ec2();
    for query in queries.into_iter().map(InstancesQuery::Filters) {
        let mut token: Option<String> = None;
        loop {
            let page =
                ec2.describe_instances(&query, token.as_deref()).await.map_err(|error| match error {
                    DescribeError::NoSuchInstances { error, .. } | DescribeError::Call(error) => error,
                })?;
            open.found.fetch_add(page.items.len(), Ordering::Relaxed);
            // The receiver is held by the caller until this ends.
            let _ = pages.send(page.items);
            token = page.next;
            if token.is_none() {
                break;
            }
        }
    }
    Ok(())
}

/// Every page of `DescribeInstanceProperties`, or of `DescribeInstanceInformation` where that is denied (facts §8 c).
async fn managed(open: &OpenScope, query: &NodesQuery) -> Result<BTreeMap<String, ManagedNode>, CallError> {
    let ssm = open.scope.ssm();
    let mut nodes = BTreeMap::new();
    let mut token: Option<String> = None;
    // Tags can only be filtered by the older call.
    let mut is_fallback = !query.tags.is_empty();
    loop {
        let page = if is_fallback {
            ssm.describe_information(query, token.as_deref()).await?
        } else {
            match ssm.describe_properties(query, token.as_deref()).await {
                Err(error) if matches!(error.kind, CallErrorKind::AccessDenied { .. }) => {
                    (is_fallback, token) = (true, None);
                    continue;
                }
                other => other?,
            }
        };
        nodes.extend(page.items.into_iter().map(|n| (n.id.clone(), n)));
        token = page.next;
        if token.is_none() {
            return Ok(nodes);
        }
    }
}
