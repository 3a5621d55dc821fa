//! The terms of each command: its time limit, its reaction to signals, and its needs of the database. Only this module
//! sets them.

use std::time::Duration;

use crate::cli::{Command, Show, Work};
use crate::store::Missing;

/// The time limit of `status`.
const STATUS_MAX: Duration = Duration::from_secs(15);

/// The terms of a command that has a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The time limit, and the reaction to signals.
    pub patience: Patience,
    /// The needs of the database.
    pub needs: Needs,
}

/// The time limit of a command, and its reaction to signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// The watchdog ends the command some time after this; `None`: never.
    pub longest: Option<Duration>,
    /// The reaction to a signal.
    pub on_signal: OnSignal,
}

/// The reaction of a command to a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnSignal {
    /// The signal ends the process at once, because no work is in progress.
    EndAtOnce,
    /// The command ends after the present batch; its progress is kept.
    FinishBatch,
}

/// The needs of a command of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Write access with the schema of this build: the database is migrated.
    Migrated(Missing),
    /// Write access with the schema that the database has.
    AsItIs(Missing),
    /// Read access. The right to read is enough; nothing is migrated.
    ReadOnly,
}

impl Terms {
    /// The terms of a command.
    pub fn of(work: &Work) -> Terms {
        use Missing::{Create, Refuse};
        use Needs::{AsItIs, Migrated, ReadOnly};
        let (patience, needs) = match work {
            Work::Run(args) => (Patience::at_work(Some(args.deadline)), Migrated(Create)),
            Work::Status(_) => (Patience::asking(Some(STATUS_MAX)), ReadOnly),
            Work::Markets(_) | Work::Orderbooks(_) | Work::Candles(_) => {
                (Patience::at_work(None), Migrated(Create))
            }
            Work::Backfill(args) => {
                let needs = if args.dry_run { ReadOnly } else { Migrated(Create) };
                (Patience::at_work(args.deadline), needs)
            }
            Work::Completeness(_) | Work::Replay(_) => (Patience::at_work(None), Migrated(Refuse)),
            Work::Prune(args) => {
                let needs = if args.dry_run { AsItIs(Refuse) } else { Migrated(Refuse) };
                (Patience::at_work(None), needs)
            }
            Work::Export(_) | Work::Serve(_) => (Patience::at_work(None), ReadOnly),
            // The command itself reports the applied steps, and whether there was one.
            Work::Migrate(_) => (Patience::asking(None), AsItIs(Create)),
        };
        Terms { patience, needs }
    }
}

impl Patience {
    /// The patience of a command, which may be one without a database.
    pub fn of(command: &Command) -> Patience {
        match command {
            Command::Works(work) => Terms::of(work).patience,
            // The demo finishes the pass that it shows.
            Command::Shows(Show::Demo(_)) => Patience::at_work(None),
            Command::Shows(Show::Completions(_) | Show::Man(_)) => Patience::asking(None),
        }
    }

    fn at_work(longest: Option<Duration>) -> Patience {
        Patience { longest, on_signal: OnSignal::FinishBatch }
    }

    fn asking(longest: Option<Duration>) -> Patience {
        Patience { longest, on_signal: OnSignal::EndAtOnce }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    fn read(words: &str) -> Command {
        Cli::read(words.split(' ')).unwrap().command
    }

    fn patience(words: &str) -> (Option<u64>, OnSignal) {
        let Patience { longest, on_signal } = Patience::of(&read(words));
        (longest.map(|longest| longest.as_secs()), on_signal)
    }

    /// Each command and its needs of the database; "none" where it has none.
    const COMMANDS: [(&str, Option<u64>, OnSignal, Option<Needs>); 19] = {
        use Missing::{Create, Refuse};
        use Needs::{AsItIs, Migrated, ReadOnly};
        use OnSignal::{EndAtOnce, FinishBatch};
        [
            ("run --market A", Some(50), FinishBatch, Some(Migrated(Create))),
            ("run --market A --deadline 2m", Some(120), FinishBatch, Some(Migrated(Create))),
            ("status", Some(15), EndAtOnce, Some(ReadOnly)),
            ("markets --market A", None, FinishBatch, Some(Migrated(Create))),
            ("orderbooks --market A", None, FinishBatch, Some(Migrated(Create))),
            ("candles --market A", None, FinishBatch, Some(Migrated(Create))),
            (
                "backfill --from 2026-01-01 --to 2026-01-02",
                None,
                FinishBatch,
                Some(Migrated(Create)),
            ),
            (
                "backfill --from 2026-01-01 --to 2026-01-02 --deadline 1h",
                Some(3_600),
                FinishBatch,
                Some(Migrated(Create)),
            ),
            (
                "backfill --from 2026-01-01 --to 2026-01-02 --dry-run",
                None,
                FinishBatch,
                Some(ReadOnly),
            ),
            ("completeness --market A", None, FinishBatch, Some(Migrated(Refuse))),
            ("replay", None, FinishBatch, Some(Migrated(Refuse))),
            ("prune --raw-older-than 1d", None, FinishBatch, Some(Migrated(Refuse))),
            ("prune --raw-older-than 1d --dry-run", None, FinishBatch, Some(AsItIs(Refuse))),
            ("export --market A --directory d", None, FinishBatch, Some(ReadOnly)),
            ("serve", None, FinishBatch, Some(ReadOnly)),
            ("migrate", None, EndAtOnce, Some(AsItIs(Create))),
            ("demo", None, FinishBatch, None),
            ("completions bash", None, EndAtOnce, None),
            ("man", None, EndAtOnce, None),
        ]
    };

    #[test]
    fn each_command_has_its_watchdog_its_answer_to_signals_and_its_database() {
        for (words, longest, on_signal, needs) in COMMANDS {
            let words = format!("kalshi-ingest {words}");
            assert_eq!(patience(&words), (longest, on_signal), "{words}");
            let found = match read(&words) {
                Command::Works(work) => Some(Terms::of(&work).needs),
                Command::Shows(_) => None,
            };
            assert_eq!(found, needs, "{words}");
        }
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            let is_tried = |(words, ..): &(&str, _, _, _)| words.split(' ').next() == Some(name);
            assert!(COMMANDS.iter().any(is_tried), "{name} is not tried");
        }
    }
}
