//! The program's texts about itself: shell completions and manual pages, made from its own flags.

use clap::CommandFactory as _;
use clap_mangen::Man;

use crate::cli::{Cli, CompletionsArgs, ManArgs};
use crate::failure::Failure;

const NAME: &str = "kalshi-ingest";

/// The completions of a shell.
pub fn completions(args: &CompletionsArgs) -> Vec<u8> {
    let mut out = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), NAME, &mut out);
    out
}

/// A manual page.
pub fn page(args: &ManArgs) -> Result<Vec<u8>, Failure> {
    let mut whole = Cli::command();
    // Only a built command knows its full name.
    whole.build();
    let command = match args.command.as_deref() {
        None => whole,
        Some(name) => {
            let found = whole.get_subcommands().find(|command| command.get_name() == name);
            found.cloned().ok_or_else(|| unknown(&whole, name))?
        }
    };
    let mut out = Vec::new();
    Man::new(command)
        .source(concat!("kalshi-ingest ", env!("CARGO_PKG_VERSION")))
        .manual("User Commands")
        .render(&mut out)
        .map_err(|error| Failure::config("the manual page cannot be made").because(error))?;
    Ok(out)
}

fn unknown(whole: &clap::Command, name: &str) -> Failure {
    let names: Vec<&str> = whole.get_subcommands().map(clap::Command::get_name).collect();
    Failure::config(format!("there is no command {name:?}; there is {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Command, Show};

    fn said(args: &[&str]) -> Result<String, Failure> {
        let cli = Cli::read([&[NAME], args].concat()).unwrap();
        let bytes = match cli.command {
            Command::Shows(Show::Completions(args)) => completions(&args),
            Command::Shows(Show::Man(args)) => page(&args)?,
            other => panic!("{other:?} prints nothing of itself"),
        };
        Ok(String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn every_shell_gets_every_command() {
        for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
            let completions = said(&["completions", shell]).unwrap();
            for word in ["run", "backfill", "serve", "watchlist", "metrics-file"] {
                assert!(completions.contains(word), "{shell} lacks {word}");
            }
        }
    }

    #[test]
    fn the_manual_has_a_page_for_the_whole_and_one_for_each_command() {
        let whole = said(&["man"]).unwrap();
        assert!(whole.contains(".TH kalshi-ingest 1") && whole.contains("Exit status"), "{whole}");
        let run = said(&["man", "run"]).unwrap();
        assert!(run.contains("KALSHI_SETTLE"), "{run}");
        assert!(run.contains("kalshi\\-ingest\\-run") && run.contains("\\-\\-settle"), "{run}");
        assert!(said(&["man", "fly"]).unwrap_err().to_string().contains("backfill"));
    }
}
