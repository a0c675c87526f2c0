//! Programs about the system and oneself: `sleep yes stty tty id groups test true false getconf`.

use super::super::process::{Done, Process};
use super::super::stream::PIECE;
use super::super::terminal::Modes;
use super::super::test::holds;
use ::bytes::Bytes;

pub(super) async fn yes_sir(_process: Process) -> Done {
    Ok(0)
}

pub(super) async fn no(_process: Process) -> Done {
    Ok(1)
}

pub(super) async fn test(process: Process) -> Done {
    let words = process.words();
    let words = if process.short() == "[" { words.strip_suffix(&["]"]).unwrap_or(&words) } else { &words };
    match holds(&process, words) {
        Ok(truth) => Ok(i32::from(!truth)),
        Err(message) => process.fail(&message).await.map(|_| 2),
    }
}

pub(super) async fn sleep(process: Process) -> Done {
    let words = process.words();
    let mut seconds = 0.0;
    for word in &words {
        let (number, scale) = match word.char_indices().next_back() {
            Some((at, 's')) => (&word[..at], 1.0),
            Some((at, 'm')) => (&word[..at], 60.0),
            Some((at, 'h')) => (&word[..at], 3600.0),
            Some((at, 'd')) => (&word[..at], 86_400.0),
            _ => (*word, 1.0),
        };
        match number.parse::<f64>().ok().filter(|number| *number >= 0.0) {
            Some(number) => seconds += number * scale,
            None if *word == "infinity" => seconds = 1e6,
            None => return process.fail(&format!("invalid time interval '{word}'")).await,
        }
    }
    if words.is_empty() {
        return process.fail("missing operand").await;
    }
    process.machine.sleep(seconds).await;
    Ok(0)
}

pub(super) async fn yes(process: Process) -> Done {
    let words = process.words();
    let line = if words.is_empty() { "y\n".to_owned() } else { words.join(" ") + "\n" };
    let many = Bytes::from(line.repeat((PIECE / 4 / line.len()).max(1)));
    loop {
        process.write(many.clone()).await?;
    }
}

/// The number of a user.
pub(super) fn number_of(user: &str) -> u32 {
    match user {
        "root" => 0,
        "ec2-user" => 1000,
        "ssm-user" => 1001,
        other => 1002 + (crate::draw::Draw::new(29).text(other).bits() % 50_000) as u32,
    }
}

pub(super) async fn id(process: Process) -> Done {
    let words = process.words();
    let user = words.iter().find(|word| !word.starts_with('-')).map_or(process.user.as_str(), |user| user);
    let is_known = matches!(user, "root" | "ec2-user" | "ssm-user") || user == process.user;
    if !is_known {
        return process.fail(&format!("'{user}': no such user")).await;
    }
    let flags: String = words.iter().filter_map(|word| word.strip_prefix('-')).collect();
    let number = number_of(user);
    let text = match (flags.contains('n'), flags.contains(['u', 'g', 'G'])) {
        (true, true) => user.to_owned(),
        (false, true) => number.to_string(),
        (_, false) => format!("uid={number}({user}) gid={number}({user}) groups={number}({user})"),
    };
    process.print(text + "\n").await?;
    Ok(0)
}

pub(super) async fn groups(process: Process) -> Done {
    process.print(format!("{}\n", process.user)).await?;
    Ok(0)
}

pub(super) async fn getconf(process: Process) -> Done {
    let words = process.words();
    let value = match words.first().copied() {
        Some("ARG_MAX") => "2097152",
        Some("PAGE_SIZE" | "PAGESIZE") => "4096",
        Some("PIPE_BUF") => "4096",
        Some("NAME_MAX") => "255",
        Some("PATH_MAX") => "4096",
        Some("_NPROCESSORS_ONLN" | "_NPROCESSORS_CONF") => "2",
        Some("LONG_BIT") => "64",
        Some(other) => return process.fail(&format!("Unrecognized variable `{other}'")).await,
        None => return process.fail("missing operand").await,
    };
    process.print(format!("{value}\n")).await?;
    Ok(0)
}

pub(super) async fn tty(process: Process) -> Done {
    let is_terminal = process.streams.input.terminal().is_some();
    process.print(if is_terminal { "/dev/pts/0\n" } else { "not a tty\n" }).await?;
    Ok(i32::from(!is_terminal))
}

pub(super) async fn stty(process: Process) -> Done {
    let mut words = process.words();
    let mut target = process.streams.input.terminal().cloned();
    if let Some(at) = words.iter().position(|word| matches!(*word, "-F" | "--file")) {
        target = words
            .get(at + 1)
            .and_then(|path| process.open(path).ok())
            .and_then(|stream| stream.terminal().cloned());
        words.drain(at..(at + 2).min(words.len()));
    }
    let Some(terminal) = target else {
        return process.fail("'standard input': Inappropriate ioctl for device").await;
    };
    let (columns, rows) = terminal.size();
    let mut modes = terminal.modes();
    match words.as_slice() {
        [] => {
            process
                .print(format!(
                    "speed 38400 baud; line = 0;\n{}\n",
                    if modes.echo { "echo" } else { "-echo" }
                ))
                .await?;
            return Ok(0);
        }
        ["-a" | "--all"] => {
            let listed: Vec<String> = modes
                .named()
                .iter()
                .map(|(name, on)| if **on { (*name).to_owned() } else { format!("-{name}") })
                .collect();
            process
                .print(format!(
                    "speed 38400 baud; rows {rows}; columns {columns}; line = 0;\nintr = ^C; quit = ^\\; erase = ^?; kill = ^U; eof = ^D; start = ^Q; stop = ^S; susp = ^Z; werase = ^W; lnext = ^V;\n{}\n",
                    listed.join(" ")
                ))
                .await?;
            return Ok(0);
        }
        ["-g" | "--save"] => {
            process.print(saved(modes) + "\n").await?;
            return Ok(0);
        }
        ["size"] => {
            process.print(format!("{rows} {columns}\n")).await?;
            return Ok(0);
        }
        _ => {}
    }
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        match *word {
            "raw" | "-cooked" => modes.raw(),
            "-raw" | "cooked" => {
                (modes.icrnl, modes.ixon, modes.opost, modes.isig, modes.icanon) =
                    (true, true, true, true, true);
            }
            "sane" => modes = Modes::SANE,
            "cbreak" => modes.icanon = false,
            "-cbreak" => modes.icanon = true,
            "rows" | "cols" | "columns" => {
                let Some(count) = rest.next().and_then(|text| text.parse::<u32>().ok()) else {
                    return process.fail(&format!("missing argument to '{word}'")).await;
                };
                let (columns, rows) = terminal.size();
                if *word == "rows" { terminal.resize(columns, count) } else { terminal.resize(count, rows) }
            }
            "min" | "time" | "speed" | "ispeed" | "ospeed" | "intr" | "quit" | "erase" | "kill" | "eof"
            | "susp" => {
                rest.next();
            }
            "iutf8" | "-iutf8" | "inlcr" | "-inlcr" | "igncr" | "-igncr" | "istrip" | "-istrip" | "inpck"
            | "-inpck" | "brkint" | "-brkint" | "ignbrk" | "-ignbrk" | "parmrk" | "-parmrk" | "ixoff"
            | "-ixoff" | "ixany" | "-ixany" | "imaxbel" | "-imaxbel" | "cs8" | "-parenb" | "parenb"
            | "noflsh" | "-noflsh" | "tostop" | "-tostop" | "echonl" | "-echonl" | "echoke" | "-echoke"
            | "nl" | "-nl" | "litout" | "-litout" | "pass8" | "-pass8" => {}
            other => {
                let (name, on) = other.strip_prefix('-').map_or((other, true), |name| (name, false));
                if let Some(saved) = restored(other) {
                    modes = saved;
                } else if let Some((_, mode)) = modes.named().into_iter().find(|(known, _)| *known == name) {
                    *mode = on;
                } else {
                    return process.fail(&format!("invalid argument '{other}'")).await;
                }
            }
        }
    }
    terminal.set_modes(modes);
    Ok(0)
}

/// Modes as `stty -g` writes Linux' flags.
fn saved(modes: Modes) -> String {
    let bits = |flags: &[(bool, u32)]| flags.iter().filter(|(on, _)| *on).map(|(_, bit)| bit).sum::<u32>();
    let input = bits(&[(modes.icrnl, 0x100), (modes.ixon, 0x400), (true, 0x4000)]);
    let output = bits(&[(modes.opost, 1), (modes.onlcr, 4)]);
    let local = bits(&[
        (modes.isig, 1),
        (modes.icanon, 2),
        (modes.echo, 8),
        (modes.echoe, 0x10),
        (modes.echok, 0x20),
        (modes.echoctl, 0x200),
        (true, 0x800),
        (modes.iexten, 0x8000),
    ]);
    format!(
        "{input:x}:{output:x}:bf:{local:x}:3:1c:7f:15:4:0:1:0:11:13:1a:0:12:f:17:16:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0"
    )
}

fn restored(text: &str) -> Option<Modes> {
    let mut fields = text.split(':').map(|field| u32::from_str_radix(field, 16).ok());
    let (input, output, _control, local) =
        (fields.next()??, fields.next()??, fields.next()??, fields.next()??);
    let on = |flags: u32, bit: u32| flags & bit != 0;
    Some(Modes {
        icrnl: on(input, 0x100),
        ixon: on(input, 0x400),
        opost: on(output, 1),
        onlcr: on(output, 4),
        isig: on(local, 1),
        icanon: on(local, 2),
        iexten: on(local, 0x8000),
        echo: on(local, 8),
        echoe: on(local, 0x10),
        echok: on(local, 0x20),
        echoctl: on(local, 0x200),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_saved_and_restored() {
        let mut modes = Modes::SANE;
        modes.raw();
        modes.echo = false;
        for modes in [Modes::SANE, modes] {
            assert_eq!(restored(&saved(modes)), Some(modes));
        }
        assert!(saved(Modes::SANE).starts_with("4500:5:bf:8a3b:3:1c:7f:"));
        assert_eq!(restored("5"), None);
    }
}
