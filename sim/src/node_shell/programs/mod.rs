//! The programs of a node: those that do what they do everywhere, and a table of plausible outputs for the rest.

mod archive;
mod bytes;
mod changes;
mod ends;
mod files;
mod find;
mod grep;
mod lines;
mod print;
mod shells;
mod stat;
mod system;

use super::disk::{Body, Errno, locked};
use super::eval::DEPTH;
use super::machine::Running;
use super::process::{Process, running};
use super::{builtins, table};

pub(crate) use shells::{login_environment, split};

/// Starts a program.
type Start = fn(Process) -> Running;

const PROGRAMS: [(&str, Start); 75] = [
    ("[", |process| running(process, system::test)),
    ("ash", |process| running(process, shells::shell)),
    ("base64", |process| running(process, bytes::base64)),
    ("basename", |process| running(process, print::basename)),
    ("bash", |process| running(process, shells::shell)),
    ("cat", |process| running(process, lines::cat)),
    ("chgrp", |process| running(process, changes::chown)),
    ("chmod", |process| running(process, changes::chmod)),
    ("chown", |process| running(process, changes::chown)),
    ("cksum", |process| running(process, bytes::cksum)),
    ("cmp", |process| running(process, bytes::cmp)),
    ("cp", |process| running(process, changes::cp)),
    ("cut", |process| running(process, lines::cut)),
    ("dash", |process| running(process, shells::shell)),
    ("dd", |process| running(process, bytes::dd)),
    ("dirname", |process| running(process, print::dirname)),
    ("du", |process| running(process, stat::du)),
    ("echo", |process| running(process, print::echo)),
    ("egrep", |process| running(process, grep::grep)),
    ("env", |process| running(process, shells::env)),
    ("expr", |process| running(process, print::expr)),
    ("false", |process| running(process, system::no)),
    ("fgrep", |process| running(process, grep::grep)),
    ("find", |process| running(process, find::find)),
    ("flock", |process| running(process, shells::flock)),
    ("getconf", |process| running(process, system::getconf)),
    ("grep", |process| running(process, grep::grep)),
    ("groups", |process| running(process, system::groups)),
    ("gunzip", |process| running(process, archive::gzip)),
    ("gzip", |process| running(process, archive::gzip)),
    ("head", |process| running(process, ends::head)),
    ("id", |process| running(process, system::id)),
    ("install", |process| running(process, changes::install)),
    ("ln", |process| running(process, changes::ln)),
    ("ls", |process| running(process, files::ls)),
    ("md5sum", |process| running(process, bytes::digest)),
    ("mkdir", |process| running(process, changes::mkdir)),
    ("mktemp", |process| running(process, changes::mktemp)),
    ("mv", |process| running(process, changes::mv)),
    ("nice", |process| running(process, shells::passed)),
    ("nohup", |process| running(process, shells::passed)),
    ("od", |process| running(process, bytes::od)),
    ("printenv", |process| running(process, shells::printenv)),
    ("printf", |process| running(process, print::printf)),
    ("readlink", |process| running(process, stat::readlink)),
    ("realpath", |process| running(process, stat::readlink)),
    ("rm", |process| running(process, changes::rm)),
    ("rmdir", |process| running(process, changes::rmdir)),
    ("runuser", |process| running(process, shells::as_user)),
    ("sed", |process| running(process, grep::sed)),
    ("seq", |process| running(process, print::seq)),
    ("sh", |process| running(process, shells::shell)),
    ("sha1sum", |process| running(process, bytes::digest)),
    ("sha256sum", |process| running(process, bytes::digest)),
    ("sha512sum", |process| running(process, bytes::digest)),
    ("sleep", |process| running(process, system::sleep)),
    ("sort", |process| running(process, lines::sort)),
    ("stat", |process| running(process, stat::stat)),
    ("stty", |process| running(process, system::stty)),
    ("su", |process| running(process, shells::as_user)),
    ("sudo", |process| running(process, shells::as_user)),
    ("tail", |process| running(process, ends::tail)),
    ("tar", |process| running(process, archive::tar)),
    ("tee", |process| running(process, lines::tee)),
    ("test", |process| running(process, system::test)),
    ("timeout", |process| running(process, shells::timeout)),
    ("touch", |process| running(process, changes::touch)),
    ("tr", |process| running(process, lines::tr)),
    ("true", |process| running(process, system::yes_sir)),
    ("truncate", |process| running(process, changes::truncate)),
    ("tty", |process| running(process, system::tty)),
    ("uniq", |process| running(process, lines::uniq)),
    ("wc", |process| running(process, lines::wc)),
    ("xargs", |process| running(process, shells::xargs)),
    ("yes", |process| running(process, system::yes)),
];

const ALIASES: [(&str, &str); 3] = [("zcat", "gunzip"), ("zsh", "sh"), ("time", "nice")];

fn find(name: &str) -> Option<Start> {
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, program)| program);
    let at = PROGRAMS.binary_search_by(|(known, _)| (*known).cmp(name)).ok()?;
    PROGRAMS.get(at).map(|(_, start)| *start)
}

/// True for programs that nodes have.
pub(crate) fn is_known(name: &str) -> bool {
    find(name).is_some() || table::NAMES.contains(&name)
}

/// Programs that nodes have.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let aliases = ALIASES.iter().map(|(name, _)| *name);
    PROGRAMS.iter().map(|(name, _)| *name).chain(aliases).chain(table::NAMES)
}

/// Directories of programs.
const PLACES: [&str; 6] =
    ["/bin/", "/usr/bin/", "/sbin/", "/usr/sbin/", "/usr/local/bin/", "/usr/local/sbin/"];

/// Starts a program: by its name, or as a file that holds a script.
pub(crate) fn start(mut process: Process) -> Result<Running, Errno> {
    process.depth += 1;
    if process.depth > DEPTH {
        return Err(Errno::TooMany);
    }
    if let Some(rest) = PLACES.iter().find_map(|place| process.name.strip_prefix(place))
        && !rest.contains('/')
        && is_known(rest)
    {
        return known(process);
    }
    if !process.name.contains('/') {
        return known(process);
    }
    let entry = process.find(&process.name)?;
    match &entry.body {
        Body::Directory => return Err(Errno::Denied),
        Body::File(_) if entry.mode & 0o111 == 0 => return Err(Errno::Denied),
        Body::File(data) => {
            let first = locked(data).head(128);
            if first.contains(&0) {
                return Err(Errno::Invalid);
            }
        }
        Body::Link(_) | Body::Device(_) => return Err(Errno::Denied),
    }
    let mut words: Vec<&str> = vec![&process.name];
    words.extend(process.arguments.iter().map(String::as_str));
    Ok(running(process.with("sh", &words), shells::shell))
}

fn known(process: Process) -> Result<Running, Errno> {
    let name = process.short().to_owned();
    if let Some(start) = find(&name) {
        return Ok(start(process));
    }
    if builtins::is_known(&name) {
        // `env cd /` and the like: it has no effect on anybody else.
        return Ok(Box::pin(async { 0 }));
    }
    let words: Vec<&str> = process.arguments.iter().map(String::as_str).collect();
    let Some(answer) = table::answer(&name, &words, &process) else { return Err(Errno::NotFound) };
    if answer.is_slow {
        process.machine.note_slow();
    }
    Ok(running(process, async move |process: Process| {
        process.print(answer.out).await?;
        let complaint = answer.err.trim_end_matches('\n');
        if !complaint.is_empty() {
            process.complain(complaint).await;
        }
        Ok(answer.code)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_by_name() {
        assert!(PROGRAMS.is_sorted_by(|one, two| one.0 < two.0));
        for name in names() {
            assert!(is_known(name), "{name}");
        }
        assert!(!is_known("frobnicate") && find("zcat").is_some());
    }
}
