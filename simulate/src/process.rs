//! One simulated process: one call of the program's own entry.

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use kalshi_ingest::app::{self, Outside};
use kalshi_ingest::cli::Cli;
use kalshi_ingest::clock::StopFlag;
use kalshi_ingest::ingest::Drive;
use kalshi_ingest::retry::Dice;
use log::{Log, Metadata, Record};

use crate::bench::Shared;
use crate::clock::TheirClock;
use crate::database::{Opener, Stores};
use crate::history::Command;
use crate::machine::{Killed, Machine};
use crate::wire::Wire;

/// The end of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It exited with this status.
    Exit(u8),
    /// It was killed.
    Killed,
    /// It panicked, which is a bug.
    Panicked(String),
}

/// The result of a process.
#[derive(Clone, Debug)]
pub struct Came {
    /// The end of the process.
    pub ended: Ended,
    /// Its duration, by the time of its host.
    pub took: i64,
}

/// The command lines that were parsed before. Most of a history are alike, and parsing one takes longer than many a
/// pass.
#[derive(Clone, Debug, Default)]
pub struct Typed(Arc<Mutex<HashMap<Vec<String>, Cli>>>);

/// The number of command lines that are kept.
const TYPED_MAX: usize = 256;

impl Typed {
    fn read(&self, args: &[String]) -> Result<Cli, String> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cli) = known.get(args) {
            return Ok(cli.clone());
        }
        let typed = ["kalshi-ingest"].into_iter().chain(args.iter().map(String::as_str));
        let cli = Cli::read(typed).map_err(|error| error.to_string())?;
        if known.len() >= TYPED_MAX {
            known.clear();
        }
        known.insert(args.to_vec(), cli.clone());
        Ok(cli)
    }
}

/// Runs a command as this process.
pub fn run(machine: &Arc<Machine>, process: usize, shared: &Shared, command: &Command) -> Came {
    machine.join(process);
    let number = {
        let mut state = machine.state();
        let (now, number) = (state.now, state.counts.of("processes"));
        state.counts.one("processes");
        state.record.note(number);
        state.record.tell(now, format_args!("[{process}] $ {command}"));
        number
    };
    let began = machine.state().elapsed();
    let seed = machine.state().chance(&[0xd1, number]).draw();
    let outside = Outside {
        clock: Arc::new(TheirClock { machine: Arc::clone(machine), process }),
        environment: Arc::new(|_| None),
        transport: Some(Arc::new(Wire { machine: Arc::clone(machine), process })),
        databases: Arc::new(Opener {
            machine: Arc::clone(machine),
            process,
            stores: shared.stores.clone(),
        }),
        output: Arc::new(|_| Ok(())),
        dice: Dice::seeded(seed),
        drive: Drive::Inline,
    };
    let is_told = machine.state().record.is_told();
    if is_told {
        TELLER.set(Some((Arc::clone(machine), process)));
    }
    let ended = match shared.typed.read(&command.args) {
        Err(error) => Ended::Panicked(format!("the command line of a history is wrong: {error}")),
        Ok(cli) => {
            let work = || app::main_in(cli, &StopFlag::default(), &outside);
            match catch_unwind(AssertUnwindSafe(work)) {
                Ok(exit) => Ended::Exit(exit.code()),
                Err(payload) if payload.is::<Killed>() => Ended::Killed,
                Err(payload) => {
                    let text = payload.downcast_ref::<String>().cloned();
                    let text =
                        text.or_else(|| payload.downcast_ref::<&str>().map(|t| (*t).to_owned()));
                    Ended::Panicked(text.unwrap_or_default())
                }
            }
        }
    };
    TELLER.set(None);
    drop(outside);
    if let Stores::Server(server) = &shared.stores
        && let Err(wrong) = server.after_command()
    {
        machine.state().check.fail(wrong);
    }
    let took = {
        let mut state = machine.state();
        let now = state.now;
        state.record.tell(now, format_args!("[{process}] ends: {ended:?}"));
        state.record.note(match &ended {
            Ended::Exit(code) => u64::from(*code),
            Ended::Killed => 1_000,
            Ended::Panicked(_) => 1_001,
        });
        state.elapsed() - began
    };
    machine.leave(process);
    Came { ended, took }
}

thread_local! {
    /// The machine and the process whose story gets the log lines of this thread.
    static TELLER: RefCell<Option<(Arc<Machine>, usize)>> = const { RefCell::new(None) };
}

/// Writes the program's log lines into the story.
struct Teller;

impl Log for Teller {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("kalshi_ingest")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        TELLER.with_borrow(|teller| {
            let Some((machine, process)) = teller else { return };
            let mut state = machine.state();
            let now = state.now;
            let (level, words) = (record.level(), record.args());
            state.record.tell(now, format_args!("  [{process}] {level}: {words}"));
        });
    }

    fn flush(&self) {}
}

/// Writes the program's log into the present story from now on.
pub fn listen(level: log::LevelFilter) {
    static HERE: Teller = Teller;
    // A second call changes nothing.
    drop(log::set_logger(&HERE));
    log::set_max_level(level);
}
