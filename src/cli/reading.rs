//! From arguments to a command. Flags before the command are moved behind it, and a flag that a command does not use
//! is rejected with a reason.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Command, CommandFactory as _, FromArgMatches as _};

use super::Cli;
use super::groups::{DatabaseArgs, ExchangeArgs, SelectionArgs, TradesArgs};

pub(super) fn read(typed: Vec<OsString>) -> Result<Cli, clap::Error> {
    let definition = Cli::command();
    let words = with_command_first(&definition, typed);
    let name = words.get(1).and_then(|word| word.to_str()).unwrap_or_default().to_owned();
    let matches = definition.clone().try_get_matches_from(words);
    matches
        .and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches))
        .map_err(|error| refusal(&definition, &name, &error).unwrap_or(error))
}

/// The same arguments with the flags before the command moved behind it. Arguments that cannot be understood stay in
/// place, so that clap reports them.
fn with_command_first(definition: &Command, typed: Vec<OsString>) -> Vec<OsString> {
    let mut at = 1;
    while let Some(word) = typed.get(at).and_then(|word| word.to_str()) {
        if !word.starts_with('-') {
            let mut words = vec![typed[0].clone(), typed[at].clone()];
            // `help` names a command, and has no flags.
            let moved = if word == "help" { &[] } else { &typed[1..at] };
            words.extend_from_slice(moved);
            words.extend_from_slice(&typed[at + 1..]);
            return words;
        }
        let asks = ["-h", "--help", "-V", "--version"];
        if asks.contains(&word) {
            return vec![typed[0].clone(), typed[at].clone()];
        }
        match length(definition, word) {
            Some(length) => at += length,
            None => return typed,
        }
    }
    // There is no command. Without one the flags have no meaning, and the help lists the commands.
    typed.into_iter().take(1).collect()
}

/// The number of arguments that a flag takes, with its value; `None` for a flag of no command.
fn length(definition: &Command, word: &str) -> Option<usize> {
    let Some(long) = word.strip_prefix("--") else {
        let mut letters = word[1..].chars();
        let is_known = |letter| {
            let mut arguments = definition.get_subcommands().flat_map(Command::get_arguments);
            arguments.any(|a| a.get_short() == Some(letter) && !a.get_action().takes_values())
        };
        return (word.len() > 1 && letters.all(is_known)).then_some(1);
    };
    let (long, has_value) = match long.split_once('=') {
        Some((long, _)) => (long, true),
        None => (long, false),
    };
    let mut arguments = definition.get_subcommands().flat_map(Command::get_arguments);
    let argument = arguments.find(|argument| argument.get_long() == Some(long))?;
    Some(if argument.get_action().takes_values() && !has_value { 2 } else { 1 })
}

/// Our own message for an unexpected argument; `None` where clap's message is good enough.
fn refusal(definition: &Command, name: &str, error: &clap::Error) -> Option<clap::Error> {
    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let command = definition.find_subcommand(name)?;
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidArg) else { return None };
    let words = match word.strip_prefix("--") {
        Some(long) => unused(definition, command, long)?,
        None if word.starts_with('-') => return None,
        None => unplaced(command, word)?,
    };
    let mut command = command.clone().bin_name(format!("kalshi-ingest {name}"));
    Some(command.error(ErrorKind::UnknownArgument, words))
}

/// A flag of other commands.
fn unused(definition: &Command, command: &Command, long: &str) -> Option<String> {
    let has = |command: &Command| command.get_arguments().any(|a| a.get_long() == Some(long));
    let users: Vec<&str> =
        definition.get_subcommands().filter(|c| has(c)).map(Command::get_name).collect();
    let (last, others) = users.split_last()?;
    let name = command.get_name();
    Some(if is_of::<SelectionArgs>(long) {
        format!("{name} takes no selection, so no --{long}: {}", works_on(name))
    } else if is_of::<ExchangeArgs>(long) {
        format!("{name} does not ask the exchange, so it takes no --{long}")
    } else if is_of::<TradesArgs>(long) {
        format!("{name} does not ask the exchange for trades, so it takes no --{long}")
    } else if is_of::<DatabaseArgs>(long) {
        format!("{name} opens no database, so it takes no --{long}")
    } else if others.is_empty() {
        format!("{name} takes no --{long}; {last} does")
    } else {
        format!("{name} takes no --{long}; {} and {last} do", others.join(", "))
    })
}

/// The message for an unexpected word, which is most likely a market to be read.
fn unplaced(command: &Command, word: &str) -> Option<String> {
    let name = command.get_name();
    let takes_selection = command.get_arguments().any(|a| a.get_long() == Some("market"));
    takes_selection.then(|| {
        format!(
            "unexpected argument '{word}'\n\n  tip: to name a market, write '{name} --market {word}'; an event is \
             named by --event, a series by --series"
        )
    })
}

fn is_of<Group: Args>(long: &str) -> bool {
    let group = Group::augment_args(Command::new("group"));
    group.get_arguments().any(|argument| argument.get_long() == Some(long))
}

fn works_on(name: &str) -> &'static str {
    match name {
        "prune" => "it deletes raw events of all markets",
        "replay" => "it rebuilds the trades of all markets",
        "migrate" => "it changes the schema of the whole database",
        _ => "it is about no market",
    }
}
