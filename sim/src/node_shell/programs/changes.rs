//! Programs that change files: `mkdir rm rmdir mv cp chmod chown touch ln truncate mktemp install`.

use super::super::disk::{Body, Disk, Errno, locked};
use super::super::process::{Done, Options, Process};
use super::super::stream::lock;
use super::bytes::size;

/// Does something to each path; complains about those that it can't be done to.
async fn each(
    process: &Process,
    paths: &[&str],
    verb: &str,
    mut act: impl FnMut(&mut Disk, &str) -> Result<(), Errno>,
) -> Done {
    if paths.is_empty() {
        return process.fail("missing operand").await;
    }
    let mut code = 0;
    for path in paths {
        let done = act(&mut lock(&process.machine.disk), &process.path(path));
        if let Err(error) = done {
            process.complain(&format!("{}: {verb} '{path}': {}", process.short(), error.text())).await;
            code = 1;
        }
        process.machine.step().await;
    }
    Ok(code)
}

/// Reads `755`, `u+x`, `go-w,a=r`.
fn mode(text: &str, before: u32) -> Option<u32> {
    if !text.is_empty() && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte)) {
        return u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
    }
    let mut mode = before;
    for clause in text.split(',') {
        let at = clause.find(['+', '-', '='])?;
        let (who, rest) = clause.split_at(at);
        let mask = who.chars().try_fold(0, |mask, letter| {
            Some(
                mask | match letter {
                    'u' => 0o700,
                    'g' => 0o070,
                    'o' => 0o007,
                    'a' => 0o777,
                    _ => return None,
                },
            )
        })?;
        let mask = if who.is_empty() { 0o777 } else { mask };
        let bits = rest[1..].chars().try_fold(0, |bits, letter| {
            Some(
                bits | match letter {
                    'r' => 0o444,
                    'w' => 0o222,
                    'x' => 0o111,
                    'X' => {
                        if before & 0o111 != 0 {
                            0o111
                        } else {
                            0
                        }
                    }
                    's' | 't' => 0,
                    _ => return None,
                },
            )
        })?;
        match rest.as_bytes()[0] {
            b'+' => mode |= bits & mask,
            b'-' => mode &= !(bits & mask),
            _ => mode = mode & !mask | bits & mask,
        }
    }
    Some(mode)
}

pub(super) async fn mkdir(process: Process) -> Done {
    let words = process.words();
    let options = match Options::read(&words, "pvm:", &[("parents", 'p'), ("mode", 'm'), ("verbose", 'v')]) {
        Ok(options) => options,
        Err(message) => return process.fail(&message).await,
    };
    let bits = match options.value('m') {
        None => 0o755,
        Some(text) => match mode(text, 0o777) {
            Some(bits) => bits,
            None => return process.fail(&format!("invalid mode '{text}'")).await,
        },
    };
    let (user, now, parents) = (process.user.clone(), process.machine.now(), options.has('p'));
    each(&process, &options.rest, "cannot create directory", |disk, path| {
        if parents {
            make_parents(disk, path, (&user, bits), now)
        } else {
            disk.make_directory(path, (&user, bits), now)
        }
    })
    .await
}

/// Makes a directory and those above it, where they are missing.
pub(super) fn make_parents(
    disk: &mut Disk,
    path: &str,
    (user, bits): (&str, u32),
    now: crate::clock::At,
) -> Result<(), Errno> {
    let path = disk.resolve(path, true)?;
    let mut ends: Vec<usize> = path.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0).collect();
    ends.push(path.len());
    for end in ends {
        let part = &path[..end];
        match disk.entry(part) {
            Some(entry) if entry.is_directory() => {}
            Some(_) => return Err(if end == path.len() { Errno::Exists } else { Errno::NotDirectory }),
            None => disk.make_directory(part, (user, if end == path.len() { bits } else { 0o755 }), now)?,
        }
    }
    Ok(())
}

pub(super) async fn rmdir(process: Process) -> Done {
    let words = process.words();
    let user = process.user.clone();
    let paths: Vec<&str> = words.into_iter().filter(|word| !word.starts_with('-')).collect();
    each(&process, &paths, "failed to remove", |disk, path| match disk.find(path)? {
        (_, entry) if !entry.is_directory() => Err(Errno::NotDirectory),
        (path, _) => disk.remove(&path, &user),
    })
    .await
}

pub(super) async fn rm(process: Process) -> Done {
    let words = process.words();
    let options = match Options::read(&words, "rRfdvi", &[("recursive", 'r'), ("force", 'f'), ("dir", 'd')]) {
        Ok(options) => options,
        Err(message) => return process.fail(&message).await,
    };
    let (is_deep, is_forced) = (options.has('r') || options.has('R'), options.has('f'));
    if options.rest.is_empty() && is_forced {
        return Ok(0);
    }
    if is_deep && options.rest.iter().any(|path| matches!(path.trim_end_matches('/'), "" | "." | "..")) {
        process.complain("rm: it is dangerous to operate recursively on '/'").await;
        return Ok(1);
    }
    let user = process.user.clone();
    each(&process, &options.rest, "cannot remove", |disk, path| {
        let path = disk.resolve(path, false)?;
        match disk.entry(&path) {
            None if is_forced => Ok(()),
            None => Err(Errno::NotFound),
            Some(entry) if entry.is_directory() && is_deep => remove_all(disk, &path, &user),
            Some(entry) if entry.is_directory() && !options.has('d') => Err(Errno::IsDirectory),
            Some(_) => disk.remove(&path, &user),
        }
    })
    .await
}

/// Removes a directory with everything in it.
pub(super) fn remove_all(disk: &mut Disk, path: &str, user: &str) -> Result<(), Errno> {
    let mut found = vec![path.to_owned()];
    let mut at = 0;
    while let Some(next) = found.get(at).cloned() {
        at += 1;
        if disk.entry(&next).is_some_and(|entry| entry.is_directory()) {
            found.extend(disk.list(&next).into_iter().map(|name| format!("{next}/{name}")));
        }
    }
    found.iter().rev().try_for_each(|path| disk.remove(path, user))
}

/// Where something goes: into a directory under its own name, or to a name.
fn target(disk: &Disk, from: &str, to: &str) -> String {
    let is_directory = disk.find(to).is_ok_and(|(_, entry)| entry.is_directory());
    let name = from.trim_end_matches('/').rsplit('/').next().unwrap_or(from);
    if is_directory {
        format!("{}/{name}", to.trim_end_matches('/'))
    } else {
        to.trim_end_matches('/').to_owned()
    }
}

/// Sources and the target of `mv`, `cp` and `ln`.
async fn operands<'a>(process: &Process, options: &Options<'a>) -> Result<(Vec<&'a str>, &'a str), i32> {
    let (sources, to) = match (options.value('t'), options.rest.split_last()) {
        (Some(directory), _) => (options.rest.clone(), directory),
        (None, Some((to, sources))) if !sources.is_empty() => (sources.to_vec(), *to),
        (None, last) => {
            let after = last.map_or(String::new(), |(only, _)| format!(" after '{only}'"));
            let what =
                if after.is_empty() { "missing file operand" } else { "missing destination file operand" };
            process.complain(&format!("{}: {what}{after}", process.short())).await;
            return Err(1);
        }
    };
    if sources.len() > 1 && !process.is_directory(to) {
        process.complain(&format!("{}: target '{to}': Not a directory", process.short())).await;
        return Err(1);
    }
    Ok((sources, to))
}

pub(super) async fn mv(process: Process) -> Done {
    let words = process.words();
    let options = match Options::read(
        &words,
        "finTvt:",
        &[("force", 'f'), ("no-clobber", 'n'), ("no-target-directory", 'T')],
    ) {
        Ok(options) => options,
        Err(message) => return process.fail(&message).await,
    };
    let (sources, to) = match operands(&process, &options).await {
        Ok(operands) => operands,
        Err(code) => return Ok(code),
    };
    let (to, user) = (process.path(to), process.user.clone());
    each(&process, &sources, "cannot move", |disk, from| {
        let to = if options.has('T') { to.clone() } else { target(disk, from, &to) };
        if options.has('n') && disk.find(&to).is_ok() {
            return Ok(());
        }
        disk.rename(from, &to, &user)
    })
    .await
}

pub(super) async fn cp(process: Process) -> Done {
    let words = process.words();
    let long = [("recursive", 'r'), ("archive", 'a'), ("force", 'f'), ("preserve", 'p'), ("no-clobber", 'n')];
    let options = match Options::read(&words, "arRfinpdLPTvt:", &long) {
        Ok(options) => options,
        Err(message) => return process.fail(&message).await,
    };
    let (sources, to) = match operands(&process, &options).await {
        Ok(operands) => operands,
        Err(code) => return Ok(code),
    };
    let is_deep = ['a', 'r', 'R'].iter().any(|letter| options.has(*letter));
    let (to, user, now) = (process.path(to), process.user.clone(), process.machine.now());
    let mut code = 0;
    for from in sources {
        let copied = {
            let mut disk = lock(&process.machine.disk);
            let from = process.path(from);
            let to = if options.has('T') { to.clone() } else { target(&disk, &from, &to) };
            copy(&mut disk, (&from, &to), (&user, is_deep), now)
        };
        if let Err(error) = copied {
            let what = match error {
                Errno::IsDirectory => format!("-r not specified; omitting directory '{from}'"),
                error => format!("cannot copy '{from}': {}", error.text()),
            };
            code = process.fail(&what).await?;
        }
    }
    Ok(code)
}

fn copy(
    disk: &mut Disk,
    (from, to): (&str, &str),
    (user, is_deep): (&str, bool),
    now: crate::clock::At,
) -> Result<(), Errno> {
    let mut copies = vec![(from.to_owned(), to.to_owned())];
    let mut first = true;
    while let Some((from, to)) = copies.pop() {
        let follows = std::mem::take(&mut first);
        let path = disk.resolve(&from, follows)?;
        let entry = disk.entry(&path).ok_or(Errno::NotFound)?;
        match &entry.body {
            Body::Directory if !is_deep => return Err(Errno::IsDirectory),
            Body::Directory => {
                if disk.find(&to).is_err() {
                    disk.make_directory(&to, (user, entry.mode), now)?;
                }
                let inside = disk.list(&path);
                copies.extend(
                    inside.into_iter().map(|name| (format!("{path}/{name}"), format!("{to}/{name}"))),
                );
            }
            Body::Link(target) => disk.link(target, &to, user, now)?,
            Body::File(data) => {
                disk.open(&path, user)?;
                // Pieces are shared: a copy takes no more room until it is changed.
                let content = locked(data).clone();
                if !disk.has_room(content.held()) {
                    return Err(Errno::NoSpace);
                }
                let made = disk.create(&to, (user, true), now)?;
                if let Body::File(data) = &made.body {
                    *locked(data) = content;
                }
                disk.change(&to, "root", |made| made.mode = entry.mode)?;
            }
            Body::Device(_) => return Err(Errno::Invalid),
        }
    }
    Ok(())
}

pub(super) async fn install(process: Process) -> Done {
    let words = process.words();
    let options = match Options::read(&words, "dDm:o:g:t:v", &[("mode", 'm'), ("directory", 'd')]) {
        Ok(options) => options,
        Err(message) => return process.fail(&message).await,
    };
    let bits = options.value('m').and_then(|text| mode(text, 0)).unwrap_or(0o755);
    let (user, now) = (process.user.clone(), process.machine.now());
    if options.has('d') {
        return each(&process, &options.rest, "cannot create directory", |disk, path| {
            make_parents(disk, path, (&user, bits), now)
        })
        .await;
    }
    let (sources, to) = match operands(&process, &options).await {
        Ok(operands) => operands,
        Err(code) => return Ok(code),
    };
    let to = process.path(to);
    each(&process, &sources, "cannot install", |disk, from| {
        let to = target(disk, from, &to);
        copy(disk, (from, &to), (&user, false), now)?;
        disk.change(&to, "root", |entry| entry.mode = bits)
    })
    .await
}

/// A path and, where it is asked for, everything below it.
fn below(disk: &Disk, path: &str, is_deep: bool) -> Vec<String> {
    let mut found = vec![path.to_owned()];
    let mut at = 0;
    while let Some(next) = found.get(at).cloned().filter(|_| is_deep) {
        at += 1;
        if disk.entry(&next).is_some_and(|entry| entry.is_directory()) {
            found.extend(disk.list(&next).into_iter().map(|name| format!("{next}/{name}")));
        }
    }
    found
}

pub(super) async fn chmod(process: Process) -> Done {
    let words = process.words();
    let is_deep = words.iter().any(|word| matches!(*word, "-R" | "--recursive"));
    let plain: Vec<&str> = words
        .into_iter()
        .filter(|word| !matches!(*word, "-R" | "--recursive" | "-f" | "-v" | "-c" | "--"))
        .collect();
    let Some((wanted, paths)) = plain.split_first() else { return process.fail("missing operand").await };
    if mode(wanted, 0).is_none() {
        return process.fail(&format!("invalid mode: '{wanted}'")).await;
    }
    let user = process.user.clone();
    each(&process, paths, "cannot access", |disk, path| {
        let (path, _) = disk.find(path)?;
        below(disk, &path, is_deep).iter().try_for_each(|path| {
            disk.change(path, &user, |entry| entry.mode = mode(wanted, entry.mode).unwrap_or(entry.mode))
        })
    })
    .await
}

pub(super) async fn chown(process: Process) -> Done {
    let words = process.words();
    let options = match Options::read(&words, "Rhfv", &[("recursive", 'R'), ("reference", 'h')]) {
        Ok(options) => options,
        Err(message) => return process.fail(&message).await,
    };
    let Some((owner, paths)) = options.rest.split_first() else {
        return process.fail("missing operand").await;
    };
    let owner = owner.split([':', '.']).next().unwrap_or_default().to_owned();
    let (user, is_group) = (process.user.clone(), process.short() == "chgrp");
    each(&process, paths, "changing ownership of", |disk, path| {
        let (path, _) = disk.find(path)?;
        if user != "root" {
            return Err(Errno::Denied);
        }
        below(disk, &path, options.has('R')).iter().try_for_each(|path| {
            disk.change(path, &user, |entry| {
                if !is_group && !owner.is_empty() {
                    entry.owner.clone_from(&owner);
                }
            })
        })
    })
    .await
}

pub(super) async fn touch(process: Process) -> Done {
    let words = process.words();
    let options =
        match Options::read(&words, "acmd:r:t:", &[("date", 'd'), ("no-create", 'c'), ("reference", 'r')]) {
            Ok(options) => options,
            Err(message) => return process.fail(&message).await,
        };
    let given = options.value('d').and_then(|text| match text.strip_prefix('@') {
        Some(seconds) => seconds.parse::<f64>().ok().map(|seconds| crate::clock::At(0).plus_seconds(seconds)),
        None => crate::clock::At::parse(text),
    });
    let at = given.unwrap_or_else(|| process.machine.now());
    let user = process.user.clone();
    each(&process, &options.rest, "cannot touch", |disk, path| match disk.find(path) {
        Ok(_) => disk.change(path, &user, |entry| entry.modified = at),
        Err(Errno::NotFound) if options.has('c') => Ok(()),
        Err(Errno::NotFound) => disk.create(path, (&user, false), at).map(drop),
        Err(error) => Err(error),
    })
    .await
}

pub(super) async fn ln(process: Process) -> Done {
    let words = process.words();
    let options = match Options::read(&words, "sfnrvTt:", &[("symbolic", 's'), ("force", 'f')]) {
        Ok(options) => options,
        Err(message) => return process.fail(&message).await,
    };
    let (sources, to) = match operands(&process, &options).await {
        Ok(operands) => operands,
        Err(code) => return Ok(code),
    };
    let (user, now) = (process.user.clone(), process.machine.now());
    let mut code = 0;
    for from in sources {
        let linked = {
            let mut disk = lock(&process.machine.disk);
            let to = target(&disk, from, &process.path(to));
            if options.has('f') {
                // Nothing there is as good.
                let _gone = disk.remove(&to, &user);
            }
            if options.has('s') {
                disk.link(from, &to, &user, now)
            } else {
                copy(&mut disk, (&process.path(from), &to), (&user, false), now)
            }
        };
        if let Err(error) = linked {
            code = process.fail(&format!("failed to create link '{to}': {}", error.text())).await?;
        }
    }
    Ok(code)
}

pub(super) async fn truncate(process: Process) -> Done {
    let words = process.words();
    let options = match Options::read(&words, "cs:", &[("size", 's'), ("no-create", 'c')]) {
        Ok(options) => options,
        Err(message) => return process.fail(&message).await,
    };
    let Some(text) = options.value('s') else {
        return process.fail("you must specify either '--size' or '--reference'").await;
    };
    let (sign, digits) = match text.as_bytes().first() {
        Some(b'+') => (1, &text[1..]),
        Some(b'-') => (-1, &text[1..]),
        _ => (0, text),
    };
    let Some(amount) = size(digits) else { return process.fail(&format!("Invalid number: '{text}'")).await };
    let (user, now) = (process.user.clone(), process.machine.now());
    each(&process, &options.rest, "cannot open", |disk, path| {
        if options.has('c') && disk.find(path).is_err() {
            return Ok(());
        }
        let entry = disk.create(path, (&user, false), now)?;
        if let Body::File(data) = &entry.body {
            let mut data = locked(data);
            let length = match sign {
                1 => data.len().saturating_add(amount),
                -1 => data.len().saturating_sub(amount),
                _ => amount,
            };
            data.resize(length);
        }
        Ok(())
    })
    .await
}

pub(super) async fn mktemp(process: Process) -> Done {
    let words = process.words();
    let options =
        match Options::read(&words, "dqutp:", &[("directory", 'd'), ("tmpdir", 'p'), ("dry-run", 'u')]) {
            Ok(options) => options,
            Err(message) => return process.fail(&message).await,
        };
    let template = options.rest.first().copied().unwrap_or("tmp.XXXXXXXXXX");
    let marks = template.len() - template.trim_end_matches('X').len();
    if marks < 3 {
        return process.fail(&format!("too few X's in template '{template}'")).await;
    }
    let is_plain = !template.contains('/');
    let in_tmp = options.rest.is_empty() || options.has('t') || options.value('p').is_some();
    let directory = match options.value('p').filter(|directory| !directory.is_empty()) {
        Some(directory) => format!("{directory}/"),
        None if in_tmp && is_plain => "/tmp/".to_owned(),
        None => String::new(),
    };
    let (user, now) = (process.user.clone(), process.machine.now());
    for attempt in 0..100 {
        let word = process.machine.identity.draw.text("mktemp").text(template).with(attempt).hex(marks);
        let path = format!("{directory}{}{word}", &template[..template.len() - marks]);
        let full = process.path(&path);
        let made = {
            let mut disk = lock(&process.machine.disk);
            if disk.find(&full).is_ok() {
                continue;
            }
            if options.has('u') {
                Ok(())
            } else if options.has('d') {
                disk.make_directory(&full, (&user, 0o700), now)
            } else {
                disk.create(&full, (&user, false), now)
                    .and_then(|_| disk.change(&full, "root", |entry| entry.mode = 0o600))
            }
        };
        return match made {
            Ok(()) => {
                process.print(format!("{path}\n")).await?;
                Ok(0)
            }
            Err(error) => {
                process
                    .fail(&format!("failed to create file via template '{template}': {}", error.text()))
                    .await
            }
        };
    }
    process.fail("failed to create file: File exists").await
}
