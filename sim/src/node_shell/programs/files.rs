//! `ls`.

use super::super::disk::{Body, Entry};
use super::super::process::{Done, Options, Process};
use super::super::stream::lock;

/// `-rw-r--r--`
pub(super) fn permissions(entry: &Entry) -> String {
    let kind = match entry.body {
        Body::Directory => 'd',
        Body::Link(_) => 'l',
        Body::Device(_) => 'c',
        Body::File(_) => '-',
    };
    let mut text = String::from(kind);
    for shift in [6, 3, 0] {
        for (bit, letter) in [(4, 'r'), (2, 'w'), (1, 'x')] {
            text.push(if entry.mode >> shift & bit != 0 { letter } else { '-' });
        }
    }
    if entry.mode & 0o1000 != 0 {
        text.pop();
        text.push('t');
    }
    text
}

struct Item {
    name: String,
    entry: Entry,
}

pub(super) async fn ls(process: Process) -> Done {
    let words = process.words();
    let long = [
        ("all", 'a'),
        ("almost-all", 'A'),
        ("directory", 'd'),
        ("human-readable", 'h'),
        ("recursive", 'R'),
        ("reverse", 'r'),
        ("inode", 'i'),
    ];
    let plain: Vec<&str> = words
        .into_iter()
        .filter(|word| !word.starts_with("--color") && !word.starts_with("--time-style"))
        .collect();
    let options = match Options::read(&plain, "aAdhilnrtSR1FCgoUGpLHsqbk", &long) {
        Ok(options) => options,
        Err(message) => {
            process.complain(&format!("ls: {message}")).await;
            return Ok(2);
        }
    };
    let paths = if options.rest.is_empty() { vec!["."] } else { options.rest.clone() };
    let (mut files, mut directories, mut code) = (Vec::new(), Vec::new(), 0);
    for path in paths {
        let found = if options.has('l') || options.has('d') {
            process.find_itself(path)
        } else {
            process.find(path).ok()
        };
        match found {
            Some(entry) if entry.is_directory() && !options.has('d') => directories.push(path.to_owned()),
            Some(entry) => files.push(Item { name: path.to_owned(), entry }),
            None => {
                process.complain(&format!("ls: cannot access '{path}': No such file or directory")).await;
                code = 2;
            }
        }
    }
    let has_headings = directories.len() > 1 || !files.is_empty() || options.has('R');
    let mut is_first = files.is_empty();
    print(&process, &options, files, false).await?;
    directories.reverse();
    while let Some(path) = directories.pop() {
        if has_headings {
            let gap = if std::mem::take(&mut is_first) { "" } else { "\n" };
            process.print(format!("{gap}{path}:\n")).await?;
        }
        let items = inside(&process, &path, &options);
        if options.has('R') {
            let below = items
                .iter()
                .rev()
                .filter(|item| item.entry.is_directory() && !matches!(item.name.as_str(), "." | ".."));
            directories.extend(below.map(|item| format!("{}/{}", path.trim_end_matches('/'), item.name)));
        }
        print(&process, &options, items, true).await?;
    }
    Ok(code)
}

fn inside(process: &Process, path: &str, options: &Options<'_>) -> Vec<Item> {
    let disk = lock(&process.machine.disk);
    let Ok((directory, own)) = disk.find(&process.path(path)) else { return Vec::new() };
    let mut items = Vec::new();
    if options.has('a') {
        items.extend([".", ".."].map(|name| Item { name: name.to_owned(), entry: own.clone() }));
    }
    let shows_all = options.has('a') || options.has('A');
    for name in disk.list(&directory).into_iter().filter(|name| shows_all || !name.starts_with('.')) {
        let place = if directory == "/" { format!("/{name}") } else { format!("{directory}/{name}") };
        if let Some(entry) = disk.entry(&place) {
            items.push(Item { name, entry });
        }
    }
    items
}

async fn print(
    process: &Process,
    options: &Options<'_>,
    mut items: Vec<Item>,
    has_total: bool,
) -> Result<(), super::super::disk::Errno> {
    if options.has('t') {
        items.sort_by(|one, two| two.entry.modified.cmp(&one.entry.modified).then(one.name.cmp(&two.name)));
    } else if options.has('S') {
        items.sort_by(|one, two| two.entry.size().cmp(&one.entry.size()).then(one.name.cmp(&two.name)));
    }
    if options.has('r') {
        items.reverse();
    }
    let mark = |item: &Item| match (&item.entry.body, options.has('F') || options.has('p')) {
        (Body::Directory, true) => "/",
        (Body::Link(_), true) if options.has('F') => "@",
        (Body::File(_), true) if options.has('F') && item.entry.mode & 0o111 != 0 => "*",
        _ => "",
    };
    if !options.has('l') && !options.has('n') && !options.has('o') && !options.has('g') {
        let is_terminal = process.streams.out.terminal().is_some() && !options.has('1');
        let separator = if is_terminal { "  " } else { "\n" };
        let names: Vec<String> = items.iter().map(|item| format!("{}{}", item.name, mark(item))).collect();
        return process
            .print(if names.is_empty() { String::new() } else { names.join(separator) + "\n" })
            .await;
    }
    if has_total {
        let blocks: u64 = items.iter().map(|item| item.entry.size().div_ceil(4096) * 4).sum();
        process.print(format!("total {blocks}\n")).await?;
    }
    let size = |entry: &Entry| if options.has('h') { human(entry.size()) } else { entry.size().to_string() };
    let width = items.iter().map(|item| size(&item.entry).len()).max().unwrap_or(0);
    for item in &items {
        let entry = &item.entry;
        let links = if entry.is_directory() { 2 } else { 1 };
        let owner = if options.has('n') {
            super::system::number_of(&entry.owner).to_string()
        } else {
            entry.owner.clone()
        };
        let target =
            if let Body::Link(target) = &entry.body { format!(" -> {target}") } else { String::new() };
        let line = format!(
            "{} {links} {owner} {owner} {:>width$} {} {}{}{target}\n",
            permissions(entry),
            size(entry),
            entry.modified.format("%b %e %H:%M"),
            item.name,
            mark(item)
        );
        process.print(line).await?;
    }
    Ok(())
}

/// `4.0K`, `1.2M`
pub(super) fn human(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["", "K", "M", "G"] {
        if value < 1024.0 {
            return if unit.is_empty() || value >= 10.0 {
                format!("{}{unit}", value.ceil())
            } else {
                format!("{value:.1}{unit}")
            };
        }
        value /= 1024.0;
    }
    format!("{value:.1}T")
}
