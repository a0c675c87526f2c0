//! `herder config init`: a configuration file to begin with, everything in it commented out.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use clap::Args;

use crate::commands::write_out;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::failure::{Failure, Kind};
use crate::io::Io;

/// Write a configuration file with every setting explained and commented out
///
/// It goes to `$XDG_CONFIG_HOME/herder/config.toml`; its path is printed.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  herder config init
  file=$(herder config init) && cat \"$file\"
  herder config init --force")]
pub(super) struct ConfigInitArgs {
    /// Replace the file that is there; it is kept beside it as config.toml.old
    #[arg(long)]
    force: bool,
}

const TEXT: &str = include_str!("config.toml");

pub(super) fn run(ctx: &Ctx, io: &Io, args: &ConfigInitArgs) -> Result<Exit, Failure> {
    let Some(path) = &ctx.settings.file.path else {
        return Err(Failure::usage(
            "there is no place for a configuration file: neither XDG_CONFIG_HOME nor HOME is set",
        )
        .hint("Set XDG_CONFIG_HOME to an absolute path."));
    };
    match write(path, args.force) {
        Ok(()) => write_out(io, format!("{}\n", path.display()).as_bytes()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(Failure::new(Kind::Refused, format!("`{}` exists", path.display()))
                .hint("Edit it, look at it with `herder config show`, or replace it with --force."))
        }
        Err(error) => Err(Failure::new(Kind::Local, format!("could not write `{}`", path.display()))
            .caused_by(&error)
            .hint("Make the directory writable, or set XDG_CONFIG_HOME to another.")),
    }
}

fn write(path: &Path, force: bool) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    // Beside the file first: whoever reads it meanwhile reads the whole old one or the whole new one.
    if force && path.exists() {
        std::fs::copy(path, path.with_extension("toml.old"))?;
        let new = path.with_extension("toml.new");
        std::fs::write(&new, TEXT)?;
        return std::fs::rename(new, path);
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(TEXT.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{ConfigFile, Environment, check};

    /// What the file shows as examples has to be right where the `#` is taken away.
    #[test]
    fn the_file_is_valid_and_so_is_everything_that_is_commented_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("herder/config.toml");
        write(&path, false).unwrap();
        let environment = Environment::new([("XDG_CONFIG_HOME".into(), dir.path().into())]);
        let file = ConfigFile::read(&environment).unwrap();
        assert!(file.exists && file.defaults.is_empty() && file.aliases.is_empty());
        let uncommented: String =
            TEXT.lines().map(|line| line.strip_prefix("#:").unwrap_or(line).to_owned() + "\n").collect();
        assert_ne!(uncommented, TEXT);
        std::fs::write(&path, uncommented).unwrap();
        let file = ConfigFile::read(&environment).unwrap();
        assert!(file.defaults.len() > 3 && file.aliases.len() > 1, "{file:?}");
        assert_eq!(check(&file.defaults, &crate::command(), &path).map_err(|f| f.message), Ok(()));
    }

    #[test]
    fn a_file_is_never_overwritten_unasked_and_kept_when_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::fs::write(&path, "mine").unwrap();
        assert_eq!(write(&path, false).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
        write(&path, true).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), TEXT);
        assert_eq!(std::fs::read_to_string(dir.path().join("config.toml.old")).unwrap(), "mine");
    }
}
