//! The nodes that listings saw, on disk: one file an account and region of one endpoint, and which of them a set of credentials and
//! settings came to. Private (0600), replaced whole, and ignored where it can't be read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::lines::beginning;

/// The first line of every file; another version's is ignored.
const MAGIC: &str = "herder completions 1";
/// Files kept in each directory; the oldest go first.
const KEPT: usize = 64;
/// Lines kept of a section.
const MOST_LINES: usize = 100_000;

/// What is known of nodes, each by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Section {
    /// Name, with the id.
    Name,
    /// Id, with the name.
    Id,
    /// Key of a tag.
    TagKey,
    /// `KEY=VALUE`.
    Tag,
    /// Auto Scaling group.
    Asg,
    /// Availability zone.
    Az,
    /// VPC.
    Vpc,
    /// Subnet.
    Subnet,
    /// Image.
    Ami,
    /// Version of the agent.
    Agent,
    /// Document that was run.
    Document,
}

impl Section {
    const ALL: [Section; 11] = [
        Section::Name,
        Section::Id,
        Section::TagKey,
        Section::Tag,
        Section::Asg,
        Section::Az,
        Section::Vpc,
        Section::Subnet,
        Section::Ami,
        Section::Agent,
        Section::Document,
    ];
}

/// Where nodes are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The endpoint, or the simulator's name; empty for AWS itself.
    pub(crate) endpoint: String,
    /// Account id.
    pub(crate) account: String,
    /// Region.
    pub(crate) region: String,
}

impl Place {
    fn file(&self) -> String {
        format!("{:016x}", hash(&[&self.endpoint, &self.account, &self.region]))
    }
}

/// FNV-1a, 64 bit, over the parts and their ends: names of files only, and cheap in any build.
pub(super) fn hash(parts: &[&str]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0xff]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Values by section, with what they are.
pub(super) type Sections = BTreeMap<Section, BTreeMap<String, String>>;

/// The directory of the cache.
#[derive(Clone, Debug)]
pub(super) struct Cache(PathBuf);

impl Cache {
    /// Below herder's cache directory.
    pub(super) fn below(directory: &Path) -> Cache {
        Cache(directory.join("completions"))
    }

    /// The places that this context came to.
    pub(super) fn places(&self, context: u64) -> Vec<Place> {
        places(&self.0.join("contexts").join(format!("{context:016x}")))
    }

    /// The places of every context.
    pub(super) fn all_places(&self) -> BTreeSet<Place> {
        let entries = fs::read_dir(self.0.join("contexts")).into_iter().flatten().filter_map(Result::ok);
        entries.flat_map(|entry| places(&entry.path())).collect()
    }

    /// What is known there.
    pub(super) fn read(&self, place: &Place) -> Option<Known> {
        Known::parse(fs::read(self.0.join("places").join(place.file())).ok()?)
    }

    /// Keeps what was seen there: instead of what was known, where everything was seen, or else beside it.
    ///
    /// # Errors
    /// It can't be written.
    pub(super) fn keep(&self, place: &Place, mut seen: Sections, is_whole: bool) -> io::Result<()> {
        if let Some(known) = self.read(place) {
            if !is_whole && known.has_all(&seen) {
                return Ok(());
            }
            for section in Section::ALL {
                // Documents are not listed with the nodes.
                if !is_whole || section == Section::Document {
                    let lines = known.section(section).lines();
                    let of = seen.entry(section).or_default();
                    for (value, about) in lines.filter_map(|line| line.split_once('\t')) {
                        of.entry(value.to_owned()).or_insert_with(|| about.to_owned());
                    }
                }
            }
        }
        self.write("places", &place.file(), &encode(&seen))
    }

    /// Keeps which places a context came to. It is one account, unless several were asked for: those of another are forgotten.
    ///
    /// # Errors
    /// It can't be written.
    pub(super) fn keep_places(&self, context: u64, seen: &[&Place], has_one: bool) -> io::Result<()> {
        let known = self.places(context);
        let mut places: BTreeSet<&Place> = seen.iter().copied().collect();
        let is_same =
            |old: &Place| seen.iter().any(|p| p.account == old.account && p.endpoint == old.endpoint);
        places.extend(known.iter().filter(|old| !has_one || is_same(old)));
        if places.len() == known.len() && known.iter().all(|old| places.contains(old)) {
            return Ok(());
        }
        let mut text = format!("{MAGIC}\n");
        for place in places {
            text.push_str(&format!("{}\t{}\t{}\n", place.endpoint, place.account, place.region));
        }
        self.write("contexts", &format!("{context:016x}"), text.as_bytes())
    }

    fn write(&self, directory: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
        let directory = self.0.join(directory);
        DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        let path = directory.join(name);
        let new = directory.join(format!("{name}.{}.new", std::process::id()));
        let written = (|| {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(bytes)?;
            fs::rename(&new, &path)
        })();
        if written.is_err() {
            let _ = fs::remove_file(&new);
        }
        prune(&directory);
        written
    }
}

fn places(path: &Path) -> Vec<Place> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let Some(lines) = text.strip_prefix(MAGIC) else { return Vec::new() };
    let place = |line: &str| {
        let mut fields = line.split('\t').map(str::to_owned);
        Some(Place { endpoint: fields.next()?, account: fields.next()?, region: fields.next()? })
    };
    lines.lines().filter_map(place).collect()
}

/// Removes the oldest files beyond those that are kept. A file that vanishes meanwhile is one less.
fn prune(directory: &Path) {
    let entries = fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    let mut files: Vec<_> =
        entries.filter_map(|e| Some((e.metadata().ok()?.modified().ok()?, e.path()))).collect();
    files.sort_unstable_by(|a, b| b.cmp(a));
    for (_, path) in files.into_iter().skip(KEPT) {
        let _ = fs::remove_file(path);
    }
}

/// A head that says where each section lies, an empty line, the sections.
fn encode(sections: &Sections) -> Vec<u8> {
    let (mut head, mut body) = (format!("{MAGIC}\n"), String::new());
    for section in Section::ALL {
        let from = body.len();
        for (value, about) in sections.get(&section).into_iter().flatten().take(MOST_LINES) {
            body.push_str(value);
            body.push('\t');
            body.push_str(about);
            body.push('\n');
        }
        head.push_str(&format!("{from} {}\n", body.len()));
    }
    head.push('\n');
    head.push_str(&body);
    head.into_bytes()
}

/// What is known of one place.
#[derive(Debug)]
pub(super) struct Known {
    bytes: Vec<u8>,
    sections: Vec<Range<usize>>,
}

impl Known {
    fn parse(bytes: Vec<u8>) -> Option<Known> {
        let end = bytes.windows(2).take(1024).position(|two| two == b"\n\n")?;
        let head = std::str::from_utf8(bytes.get(..end)?).ok()?;
        let base = end + 2;
        let mut lines = head.lines();
        if lines.next()? != MAGIC {
            return None;
        }
        let range = |line: &str| {
            let (from, to) = line.split_once(' ')?;
            let (from, to): (usize, usize) = (from.parse().ok()?, to.parse().ok()?);
            let (from, to) = (base.checked_add(from)?, base.checked_add(to)?);
            (from <= to && to <= bytes.len()).then_some(from..to)
        };
        let sections: Option<Vec<_>> = lines.map(range).collect();
        let sections = sections.filter(|s| s.len() == Section::ALL.len())?;
        Some(Known { bytes, sections })
    }

    /// The sorted lines of a section; none where they are no text.
    pub(super) fn section(&self, section: Section) -> &str {
        let at = Section::ALL.iter().position(|s| *s == section);
        let range = at.and_then(|at| self.sections.get(at)).cloned().unwrap_or_default();
        self.bytes.get(range).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    fn has_all(&self, seen: &Sections) -> bool {
        let has = |section: Section, value: &str, about: &str| {
            let line = format!("{value}\t{about}");
            beginning(self.section(section), value).lines().next() == Some(line.as_str())
        };
        seen.iter().all(|(section, values)| values.iter().all(|(value, about)| has(*section, value, about)))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn place(account: &str) -> Place {
        Place { endpoint: String::new(), account: account.to_owned(), region: "eu-west-1".to_owned() }
    }

    fn names(values: &[(&str, &str)]) -> Sections {
        let names = values.iter().map(|(value, about)| ((*value).to_owned(), (*about).to_owned())).collect();
        BTreeMap::from([(Section::Name, names)])
    }

    #[test]
    fn what_is_kept_is_read_again_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::below(dir.path());
        assert!(cache.read(&place("1")).is_none() && cache.places(7).is_empty());
        cache.keep(&place("1"), names(&[("web-1", "i-1"), ("db", "i-2")]), true).unwrap();
        let lines = |cache: &Cache| cache.read(&place("1")).unwrap().section(Section::Name).to_owned();
        assert_eq!(lines(&cache), "db\ti-2\nweb-1\ti-1\n");
        cache.keep(&place("1"), names(&[("api", "i-3")]), false).unwrap();
        assert_eq!(lines(&cache), "api\ti-3\ndb\ti-2\nweb-1\ti-1\n", "a part is added");
        cache.keep(&place("1"), names(&[("api", "i-3")]), true).unwrap();
        assert_eq!(lines(&cache), "api\ti-3\n", "the whole replaces");
        assert!(cache.read(&place("2")).is_none(), "another account's is another");

        cache.keep_places(7, &[&place("1")], true).unwrap();
        assert_eq!(cache.places(7), [place("1")]);
        cache.keep_places(7, &[&place("2")], true).unwrap();
        assert_eq!(cache.places(7), [place("2")], "the credentials are another account's now");
        cache.keep_places(7, &[&place("1")], false).unwrap();
        assert_eq!(cache.places(7), [place("1"), place("2")]);
        for (path, mode) in [("", 0o700), ("places", 0o700)] {
            let found = fs::metadata(cache.0.join(path)).unwrap().permissions().mode();
            assert_eq!(found & 0o777, mode, "{path}");
        }
        let files = ["places", "contexts"].map(|d| fs::read_dir(cache.0.join(d)).unwrap().flatten());
        for file in files.into_iter().flatten() {
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_corrupt_file_is_as_none_and_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::below(dir.path());
        let seen = || names(&[("web-1", "i-1")]);
        cache.keep(&place("1"), seen(), true).unwrap();
        let path = cache.0.join("places").join(place("1").file());
        let whole = fs::read(&path).unwrap();
        for n in 0..whole.len() {
            fs::write(&path, &whole[..n]).unwrap();
            let known = cache.read(&place("1"));
            assert!(known.is_none_or(|k| k.section(Section::Name).is_empty()), "cut after {n}");
        }
        for wrong in ["herder completions 1\n0 99999999999999999999\n\n", "herder completions 2\n\n", "\n\n"]
        {
            fs::write(&path, wrong).unwrap();
            assert!(cache.read(&place("1")).is_none(), "{wrong:?}");
        }
        fs::write(&path, [0xff; 64]).unwrap();
        cache.keep(&place("1"), seen(), false).unwrap();
        assert_eq!(cache.read(&place("1")).unwrap().section(Section::Name), "web-1\ti-1\n");
    }

    #[test]
    fn old_files_go() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::below(dir.path());
        for n in 0..KEPT + 5 {
            cache.keep(&place(&n.to_string()), names(&[("a", "b")]), true).unwrap();
        }
        assert_eq!(fs::read_dir(cache.0.join("places")).unwrap().count(), KEPT);
    }
}
