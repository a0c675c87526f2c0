//! What the words before the cursor mean to clap's tree of commands, and so what may stand at the cursor.

use clap::{Arg, ArgAction, Command};

/// What stands at the cursor.
pub(super) enum Wanted<'a> {
    /// The value of an option or the next positional one; so much of the word stands before it (`--target=`).
    Value(&'a Arg, &'a str),
    /// An option, a subcommand or a positional value.
    Any,
    /// An option.
    Flag,
    /// Something that herder knows nothing of, such as a command for the nodes.
    Nothing,
}

/// How far the words lead.
pub(super) struct Walk<'a> {
    root: &'a Command,
    /// The command that they lead to.
    pub(super) command: &'a Command,
    /// Values of options, in order.
    pub(super) given: Vec<(&'a Arg, String)>,
    /// The option whose value comes next.
    pending: Option<&'a Arg>,
    positional: usize,
    is_escaped: bool,
}

impl<'a> Walk<'a> {
    /// Follows the words behind the command's name.
    pub(super) fn new(root: &'a Command, words: &[String]) -> Walk<'a> {
        let mut walk =
            Walk { root, command: root, given: Vec::new(), pending: None, positional: 0, is_escaped: false };
        words.iter().for_each(|word| walk.take(word));
        walk
    }

    fn take(&mut self, word: &str) {
        if let Some(arg) = self.pending.take()
            && (!word.starts_with('-') || word == "-" || arg.is_allow_hyphen_values_set())
        {
            self.given.push((arg, word.to_owned()));
        } else if self.is_escaped {
            self.positional += 1;
        } else if word == "--" {
            self.is_escaped = true;
        } else if let Some(long) = word.strip_prefix("--") {
            let (name, value) = long.split_once('=').map_or((long, None), |(n, v)| (n, Some(v)));
            let arg = self.options().find(|arg| has_long(arg, name));
            self.take_option(arg, value);
        } else if let Some(cluster) = word.strip_prefix('-').filter(|c| !c.is_empty()) {
            for (at, letter) in cluster.char_indices() {
                let arg = self.options().find(|arg| arg.get_short() == Some(letter));
                let rest = cluster.get(at + letter.len_utf8()..).filter(|rest| !rest.is_empty());
                if arg.is_some_and(takes_value) {
                    return self.take_option(arg, rest);
                }
                self.take_option(arg, None);
            }
        } else if let Some(command) = self.subcommand(word) {
            self.command = command;
        } else {
            // Behind a value that goes on to the end of the line nothing is herder's any more.
            self.is_escaped |= self.next_positional().is_some_and(Arg::is_trailing_var_arg_set);
            self.positional += 1;
        }
    }

    fn subcommand(&self, word: &str) -> Option<&'a Command> {
        self.command.find_subcommand(word).filter(|_| self.positional == 0)
    }

    fn take_option(&mut self, arg: Option<&'a Arg>, value: Option<&str>) {
        let Some(arg) = arg else { return };
        match value {
            Some(value) => self.given.push((arg, value.to_owned())),
            None if takes_value(arg) && !arg.is_require_equals_set() => self.pending = Some(arg),
            None => self.given.push((arg, String::new())),
        }
    }

    /// The options that may stand here.
    pub(super) fn options(&self) -> impl Iterator<Item = &'a Arg> + use<'a> {
        let own = self.command.get_arguments();
        let is_root = std::ptr::eq(self.command, self.root);
        let of_all = self.root.get_arguments().filter(move |arg| arg.is_global_set() && !is_root);
        own.chain(of_all).filter(|arg| !arg.is_positional())
    }

    /// Those that are not given yet, or can be repeated.
    pub(super) fn open_options(&self) -> impl Iterator<Item = &'a Arg> + '_ {
        let is_open = |arg: &&Arg| {
            let is_given = self.given.iter().any(|(given, _)| given.get_id() == arg.get_id());
            !arg.is_hide_set()
                && (!is_given || matches!(arg.get_action(), ArgAction::Append | ArgAction::Count))
        };
        self.options().filter(is_open)
    }

    /// The positional value that comes next.
    pub(super) fn next_positional(&self) -> Option<&'a Arg> {
        let mut positionals: Vec<&Arg> = self.command.get_positionals().collect();
        positionals.sort_by_key(|arg| arg.get_index());
        let positionals = positionals.into_iter().filter(|arg| !arg.is_last_set()).collect::<Vec<_>>();
        let repeated = |arg: &&&Arg| matches!(arg.get_action(), ArgAction::Append);
        positionals.get(self.positional).or_else(|| positionals.last().filter(repeated)).copied()
    }

    /// Whether a subcommand may stand here.
    pub(super) fn takes_subcommand(&self) -> bool {
        self.positional == 0
    }

    /// What is wanted at the cursor.
    pub(super) fn wanted<'w>(&self, current: &'w str) -> Wanted<'w>
    where
        'a: 'w,
    {
        if let Some(arg) = self.pending
            && (!current.starts_with('-') || arg.is_allow_hyphen_values_set())
        {
            return Wanted::Value(arg, "");
        }
        if self.is_escaped {
            return match self.next_positional() {
                Some(arg) if !arg.is_trailing_var_arg_set() => Wanted::Value(arg, ""),
                _ => Wanted::Nothing,
            };
        }
        if let Some(long) = current.strip_prefix("--") {
            let Some((name, value)) = long.split_once('=') else { return Wanted::Flag };
            let before = current.get(..current.len() - value.len()).unwrap_or_default();
            return match self.options().find(|arg| has_long(arg, name)) {
                Some(arg) => Wanted::Value(arg, before),
                None => Wanted::Nothing,
            };
        }
        match current.strip_prefix('-').and_then(|cluster| cluster.chars().next()) {
            Some(letter) => match self.options().find(|arg| arg.get_short() == Some(letter)) {
                Some(arg) if takes_value(arg) && current.len() > 2 => {
                    Wanted::Value(arg, current.get(..1 + letter.len_utf8()).unwrap_or_default())
                }
                _ => Wanted::Nothing,
            },
            None if current == "-" => Wanted::Flag,
            None => Wanted::Any,
        }
    }
}

fn has_long(arg: &Arg, name: &str) -> bool {
    arg.get_long() == Some(name) || arg.get_all_aliases().is_some_and(|all| all.contains(&name))
}

/// Whether a value follows.
pub(super) fn takes_value(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Set | ArgAction::Append)
}
