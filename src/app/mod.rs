//! One invocation: it opens the resources, does the task and reports the result.

mod backfill;
mod candles;
mod lifespans;
mod markets;
mod completeness;
mod database;
mod demo;
mod export;
mod memory;
mod orderbooks;
mod outside;
mod pacing;
mod raw_events;
mod recount;
mod replay;
mod run;
mod session;
mod shown;
mod status;
mod notify;
mod vouching;

pub use demo::play;
pub use outside::{Databases, Environment, Output, Outside};

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use self::database::Database;
use crate::cli::{Cli, Command, Show, Work};
use crate::clock::{self, Clock, StopFlag};
use crate::config::{Config, Task, Terms};
use crate::domain::market::WatchRecord;
use crate::domain::selection::{Listed, Roster, Selection, Target};
use crate::domain::time::Timestamp;
use crate::driver::{Line, Lines, Verdict};
use crate::exit::Exit;
use crate::failure::{Failure, one_line};
use crate::ingest::Resolved;
use crate::manual;
use crate::serve;
use crate::store::Store;

/// Does the task that the user typed. Only this function turns an error into a message and an exit status.
pub fn main(cli: Cli, stop: &StopFlag) -> Exit {
    main_by(cli, stop, &clock::of_environment())
}

/// Does the task by another clock.
pub fn main_by(cli: Cli, stop: &StopFlag, clock: &Arc<dyn Clock>) -> Exit {
    main_in(cli, stop, &Outside::machine(Arc::clone(clock)))
}

/// Does the task with other effects outside of the program.
pub fn main_in(cli: Cli, stop: &StopFlag, outside: &Outside) -> Exit {
    match dispatch(cli.command, outside, stop) {
        Ok(exit) => exit,
        Err(error) => {
            log::error!("{}", one_line(error.as_ref()));
            Exit::of_error(&error)
        }
    }
}

fn dispatch(command: Command, outside: &Outside, stop: &StopFlag) -> anyhow::Result<Exit> {
    match command {
        Command::Works(work) => works(work, outside, stop),
        Command::Shows(Show::Demo(args)) => demo::demo(&args, outside, stop),
        Command::Shows(Show::Completions(args)) => prints(&manual::completions(&args), outside),
        Command::Shows(Show::Man(args)) => prints(&manual::page(&args)?, outside),
    }
}

/// Calls the function of a command. `config` has decided its plan and its terms.
fn works(work: Work, outside: &Outside, stop: &StopFlag) -> anyhow::Result<Exit> {
    let Terms { needs, .. } = Terms::of(&work);
    let Config { database, task } = Config::new(work, outside.clock.now(), &*outside.environment)?;
    let database = Database::new(database, needs, outside);
    match task {
        Task::Run(plan) => Ok(run::run(*plan, || database.open(), outside, stop)?),
        Task::Status(plan) => database.read(|store| status::status(&plan, store, outside)),
        Task::Markets { selection, exchange } => {
            Ok(markets::markets(&selection, exchange, database.open()?.as_mut(), outside, stop)?)
        }
        Task::Orderbooks { selection, exchange } => {
            let mut store = database.open()?;
            Ok(orderbooks::orderbooks(&selection, exchange, store.as_mut(), outside, stop)?)
        }
        Task::Candles(plan) => {
            Ok(candles::candles(*plan, database.open()?.as_mut(), outside, stop)?)
        }
        Task::Backfill(plan) => backfill::backfill(*plan, &database, outside, stop),
        Task::Completeness(plan) => {
            completeness::completeness(*plan, database.open()?.as_mut(), outside, stop)
        }
        Task::Export(plan) => export::export(&plan, &database, outside, stop),
        Task::Replay(plan) => replay::replay(&plan, &database, outside, stop),
        Task::Prune(plan) => replay::prune(&plan, database.open()?.as_mut(), outside, stop),
        Task::Serve(plan) => {
            Ok(serve::serve(&plan, move || database.open(), &outside.clock, stop)?)
        }
        Task::Migrate { recount } => Ok(database.migrate(recount)?),
    }
}

fn prints(text: &[u8], outside: &Outside) -> anyhow::Result<Exit> {
    answer_bytes(text, outside)?;
    Ok(Exit::Ok)
}

/// Logs the lines of a verdict.
fn say(lines: Lines) {
    for line in lines {
        match line {
            Line::Warning(text) => log::warn!("{text}"),
            Line::Error(text) => log::error!("{text}"),
        }
    }
}

/// Judges the resolution of the selection at this instant.
fn judge_resolution(verdict: &mut Verdict, resolved: &Resolved, now: Timestamp) -> Lines {
    let failed = verdict.failures(&resolved.troubles);
    let unresolved = resolved.unresolved.iter();
    failed.and(
        unresolved
            .map(|(target, since, sla)| verdict.unresolved(target, *since, *sla, now))
            .collect(),
    )
}

/// Writes to stdout. A reader that stops early (`| head`) is no error.
fn answer(text: &str, outside: &Outside) -> anyhow::Result<()> {
    answer_bytes(text.as_bytes(), outside)
}

fn answer_bytes(bytes: &[u8], outside: &Outside) -> anyhow::Result<()> {
    match (outside.output)(bytes) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Ok(()) => Ok(()),
        Err(error) => {
            let message = "writing the answer to stdout failed; check where it goes to";
            Err(Failure::config(message).because(error).into())
        }
    }
}

/// The markets that a selection stands for by the database alone, without a question to the exchange. A watch that was
/// never selected before is selected from now on.
fn roster_on_record(
    selection: &Selection,
    store: &mut dyn Store,
    now: Timestamp,
) -> Result<Roster, Failure> {
    let names = resolved_names(selection);
    let records = if names.is_empty() { Vec::new() } else { store.watches(&names, now)? };
    Ok(roster_of(selection, &records))
}

/// Takes refused names out of the selection and returns them: a name that the exchange refused is not judged, also in
/// commands that ask nothing.
fn leave_out_refused(
    selection: &mut Selection,
    store: &mut dyn Store,
) -> Result<BTreeSet<Target>, Failure> {
    let names: Vec<String> = selection.watches().iter().map(|w| w.target.name()).collect();
    let refused = store.refusals(&names)?;
    let refused: BTreeSet<Target> =
        refused.iter().filter_map(|refusal| Target::of_name(&refusal.name)).collect();
    *selection = selection.without(&refused);
    Ok(refused)
}

/// The names of the watches that stand for other markets: events and series.
fn resolved_names(selection: &Selection) -> Vec<String> {
    let watches = selection.watches().iter().filter(|watch| watch.target.is_resolved());
    watches.map(|watch| watch.target.name()).collect()
}

/// The named markets, and the members that these records hold.
fn roster_of(selection: &Selection, records: &[WatchRecord]) -> Roster {
    let mut roster = selection.named();
    for watch in selection.watches().iter().filter(|watch| watch.target.is_resolved()) {
        let name = watch.target.name();
        for member in records.iter().filter(|record| record.watch == name).flat_map(|r| &r.members)
        {
            roster.add(selection.shard(), member.clone(), watch.sla, Listed::No);
        }
    }
    roster
}
