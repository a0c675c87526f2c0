//! As much of a Cargo manifest as the rules ask about.

/// Sections with their keys and values, in order.
pub(crate) struct Manifest(Vec<(String, String, String)>);

impl Manifest {
    /// Reads `key = value` lines under `[section]` headers; quotes are taken away.
    pub(crate) fn parse(text: &str) -> Manifest {
        let mut section = String::new();
        let mut entries = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                section = name.to_owned();
                // `[dependencies.NAME]` names one too.
                if let Some((parent, name)) =
                    section.rsplit_once('.').filter(|(p, _)| p.ends_with("dependencies"))
                {
                    entries.push((parent.to_owned(), name.to_owned(), String::new()));
                }
            } else if let Some((key, value)) = line.split_once('=') {
                let value = value.trim().trim_matches('"').to_owned();
                entries.push((section.clone(), key.trim().to_owned(), value));
            }
        }
        Manifest(entries)
    }

    /// The value of a key; `workspace = true` of `[lints]` is found under `lints`.
    pub(crate) fn value(&self, section: &str, key: &str) -> Option<&str> {
        let found = self.0.iter().find(|(s, k, _)| s == section && k == key);
        found.map(|(_, _, value)| value.as_str())
    }

    /// Dependencies of any kind that only some packages may have, without those that begin with a word of `allowed`.
    pub(crate) fn wrong_dependencies(&self, allowed: &[&str]) -> Vec<String> {
        let sections = ["dependencies", "dev-dependencies", "build-dependencies"];
        let names = self.0.iter().filter(|(s, ..)| sections.contains(&s.as_str()));
        let names = names.map(|(_, key, _)| key.split('.').next().unwrap_or(key));
        let is_guarded = |name: &&str| {
            ["aws-", "herder-", "clap", "indicatif", "comfy-table", "crossterm"]
                .iter()
                .any(|p| name.starts_with(p))
        };
        // The root package draws on terminals; nothing else does.
        let may_draw = allowed.contains(&"herder-aws") && allowed.contains(&"clap");
        let is_drawing = |name: &str| ["indicatif", "comfy-table", "crossterm"].contains(&name);
        let is_allowed =
            |name: &&str| allowed.iter().any(|a| name.starts_with(a)) || (may_draw && is_drawing(name));
        names.filter(is_guarded).filter(|name| !is_allowed(name)).map(str::to_owned).collect()
    }
}
