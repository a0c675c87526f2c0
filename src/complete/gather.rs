//! [`Gathered`]: what a command saw of nodes on its way, kept for completions when it ends.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use herder_core::journal::Identity;

use super::cache::{Cache, Place, Section, Sections};
use super::context::Context;
use crate::ops::nodes::Node;
use crate::settings::{Environment, Settings};

/// What was seen, by place.
#[derive(Debug, Default)]
pub(crate) struct Gathered(Mutex<BTreeMap<Place, Seen>>);

#[derive(Debug, Default)]
struct Seen {
    sections: Sections,
    /// All nodes of the place are among them.
    is_whole: bool,
}

impl Gathered {
    /// These were seen.
    pub(crate) fn nodes(&self, identity: &Identity, nodes: &[Node]) {
        self.at(identity, |seen| nodes.iter().for_each(|node| seen.add(node)));
    }

    /// Those seen are all there are.
    pub(crate) fn all(&self, identity: &Identity) {
        self.at(identity, |seen| seen.is_whole = true);
    }

    /// A document was named that is there.
    pub(crate) fn document(&self, identity: &Identity, name: &str) {
        self.at(identity, |seen| seen.insert(Section::Document, name, "run before"));
    }

    fn at(&self, identity: &Identity, change: impl FnOnce(&mut Seen)) {
        let place = Place {
            endpoint: identity.endpoint.clone().unwrap_or_default(),
            account: identity.account.clone(),
            region: identity.region.clone(),
        };
        change(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(place).or_default());
    }

    /// Keeps it. A cache that can't be written costs nothing but completions.
    pub(crate) fn keep(&self, settings: &Settings, environment: &Environment) {
        let Some(directory) = &settings.cache_dir else { return };
        let seen = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if seen.is_empty() {
            return;
        }
        let cache = Cache::below(directory);
        let places: Vec<&Place> = seen.keys().collect();
        let context = Context::new(settings, environment);
        let _ = cache.keep_places(context.key(), &places, context.has_one_account());
        for (place, seen) in seen {
            let _ = cache.keep(&place, seen.sections, seen.is_whole);
        }
    }
}

impl Seen {
    fn add(&mut self, node: &Node) {
        self.insert(Section::Id, &node.id, node.name.as_deref().unwrap_or_default());
        if let Some(name) = &node.name {
            self.insert(Section::Name, name, &node.id);
        }
        let facts = [
            (Section::Asg, &node.asg),
            (Section::Az, &node.az),
            (Section::Vpc, &node.vpc),
            (Section::Subnet, &node.subnet),
            (Section::Ami, &node.image),
            (Section::Agent, &node.agent_version),
        ];
        for (section, fact) in facts {
            if let Some(fact) = fact {
                self.insert(section, fact, "");
            }
        }
        for (key, value) in node.tags.iter().flatten() {
            self.insert(Section::TagKey, key, "");
            // Names have a section of their own.
            if key != "Name" && !value.is_empty() {
                self.insert(Section::Tag, &format!("{key}={value}"), "");
            }
        }
    }

    /// What holds control characters can't be typed.
    fn insert(&mut self, section: Section, value: &str, about: &str) {
        let is_text = |text: &str| !text.chars().any(char::is_control);
        let values = self.sections.entry(section).or_default();
        if !value.is_empty() && is_text(value) && !(about.is_empty() && values.contains_key(value)) {
            let about = if is_text(about) { about } else { "" };
            values.insert(value.to_owned(), about.to_owned());
        }
    }
}
