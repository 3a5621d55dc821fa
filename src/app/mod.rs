//! One invocation: opens what is needed, does the task, says how it ended.

mod backfill;
mod markets;
mod completeness;
mod demo;
mod memory;
mod orderbooks;
mod outside;
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
use std::time::Duration;

use crate::cli::{Cli, Command};
use crate::clock::{self, Clock, StopFlag};
use crate::config::{Config, Task};
use crate::domain::market::WatchRecord;
use crate::domain::selection::{Listed, Roster, Selection, Target};
use crate::domain::time::Timestamp;
use crate::driver::{Line, Lines, Verdict};
use crate::exit::Exit;
use crate::failure::{Failure, Kind, one_line};
use crate::ingest::Resolved;
use crate::manual;
use crate::serve;
use crate::store::{DatabaseUrl, Missing, Store};

/// Does what was typed. The only place that turns an error into words and a number.
pub fn main(cli: Cli, stop: &StopFlag) -> Exit {
    main_by(cli, stop, &clock::of_environment())
}

/// The same by another clock.
pub fn main_by(cli: Cli, stop: &StopFlag, clock: &Arc<dyn Clock>) -> Exit {
    main_in(cli, stop, &Outside::machine(Arc::clone(clock)))
}

/// The same in another world.
pub fn main_in(cli: Cli, stop: &StopFlag, outside: &Outside) -> Exit {
    match dispatch(cli, outside, stop) {
        Ok(exit) => exit,
        Err(error) => {
            log::error!("{}", one_line(error.as_ref()));
            Exit::of_error(&error)
        }
    }
}

fn dispatch(cli: Cli, outside: &Outside, stop: &StopFlag) -> anyhow::Result<Exit> {
    if let Some(text) = manual::text(&cli.command) {
        answer_bytes(&text?, outside)?;
        return Ok(Exit::Ok);
    }
    if let Command::Demo(args) = &cli.command {
        return demo::demo(args, outside, stop);
    }
    let clock = &outside.clock;
    let Config { database, task } = Config::new(cli, clock.now(), &*outside.environment)?;
    let databases = outside.databases.as_ref();
    let open = |missing| {
        let mut store = databases.open(&database, missing)?;
        migrate(store.as_mut(), clock.as_ref())?;
        Ok::<_, Failure>(store)
    };
    match task {
        Task::Run(plan) => Ok(run::run(*plan, || open(Missing::Create), outside, stop)?),
        Task::Status { selection, sla, output, check } => {
            let question = status::Question { selection, sla, output, check };
            reading(&database, outside, |store| status::status(&question, store, outside))
        }
        Task::Markets { selection, exchange } => {
            let mut store = open(Missing::Create)?;
            Ok(markets::markets(&selection, exchange, store.as_mut(), outside, stop)?)
        }
        Task::Orderbooks { selection, exchange } => {
            let mut store = open(Missing::Create)?;
            Ok(orderbooks::orderbooks(&selection, exchange, store.as_mut(), outside, stop)?)
        }
        Task::Backfill(plan) if plan.dry_run => {
            let mut store = if databases.is_missing(&database) {
                None
            } else {
                Some(databases.open_to_read(&database)?)
            };
            let store = store.as_mut().map(|store| -> &mut dyn Store { store.as_mut() });
            backfill::dry_run(*plan, store, outside, stop)
        }
        Task::Backfill(plan) => {
            let mut store = open(Missing::Create)?;
            Ok(backfill::backfill(*plan, store.as_mut(), outside, stop)?)
        }
        Task::Completeness(plan) => {
            let mut store = open(Missing::Refuse)?;
            completeness::completeness(*plan, store.as_mut(), outside, stop)
        }
        Task::Replay(plan) => {
            let mut store = open(Missing::Refuse)?;
            replay::replay(&plan, store.as_mut(), outside, stop)
        }
        Task::Prune { raw_older_than, dry_run: true } => {
            let mut store = databases.open(&database, Missing::Refuse)?;
            replay::dry_prune(raw_older_than, store.as_mut(), outside)
        }
        Task::Prune { raw_older_than, dry_run: false } => {
            let mut store = open(Missing::Refuse)?;
            Ok(replay::prune(raw_older_than, store.as_mut(), outside, stop)?)
        }
        Task::Serve(plan) => Ok(serve::serve(&plan, database, clock, stop)?),
        Task::Migrate => {
            let mut store = databases.open(&database, Missing::Create)?;
            if migrate(store.as_mut(), clock.as_ref())? == 0 {
                log::info!("the schema of the {database} is up to date");
            }
            Ok(Exit::Ok)
        }
    }
}

/// How often a question is asked again when the database breaks off, and after how long.
const READ_AGAIN_MAX: u32 = 5;
const READ_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Answers a question from a database that is only read: nothing is migrated, nothing written.
fn reading(
    database: &DatabaseUrl,
    outside: &Outside,
    mut answer: impl FnMut(&mut dyn Store) -> anyhow::Result<Exit>,
) -> anyhow::Result<Exit> {
    let mut store = outside.databases.open_to_read(database)?;
    ask(store.as_mut(), outside.clock.as_ref(), |store| {
        store.check_schema()?;
        answer(store)
    })
}

/// Asks, and asks again when the database breaks off or was written to meanwhile.
fn ask<T>(
    store: &mut dyn Store,
    clock: &dyn Clock,
    mut question: impl FnMut(&mut dyn Store) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut asked = 0;
    loop {
        let error = match question(store) {
            Err(error) if asked < READ_AGAIN_MAX && is_interrupted(&error) => error,
            answered => return answered,
        };
        asked += 1;
        log::debug!("{}; reading it again", one_line(error.as_ref()));
        clock.sleep(READ_AGAIN_AFTER);
        store.reconnect()?;
    }
}

fn is_interrupted(error: &anyhow::Error) -> bool {
    let failure = error.downcast_ref::<Failure>();
    failure.is_some_and(|failure| failure.kind == Kind::StoreInterrupted)
}

/// Writes to stdout; a reader that has seen enough (`| head`) is no error.
/// Says what a verdict found.
fn say(lines: Lines) {
    for line in lines {
        match line {
            Line::Warning(text) => log::warn!("{text}"),
            Line::Error(text) => log::error!("{text}"),
        }
    }
}

/// What finding out about the selection came to, at this instant.
fn judge_resolution(verdict: &mut Verdict, resolved: &Resolved, now: Timestamp) -> Lines {
    let failed = verdict.failures(&resolved.troubles);
    let unresolved = resolved.unresolved.iter();
    failed.and(
        unresolved
            .map(|(target, since, sla)| verdict.unresolved(target, *since, *sla, now))
            .collect(),
    )
}

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

/// The markets that a selection stands for, as far as the database knows: nobody is asked. What
/// was never selected before is, now.
fn roster_on_record(
    selection: &Selection,
    store: &mut dyn Store,
    now: Timestamp,
) -> Result<Roster, Failure> {
    let names = resolved_names(selection);
    let records = if names.is_empty() { Vec::new() } else { store.watches(&names, now)? };
    Ok(roster_of(selection, &records))
}

/// What the exchange refused is nothing to be watched over, also where it is not asked; what that is.
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

/// The entries of a selection that stand for markets which others name.
fn resolved_names(selection: &Selection) -> Vec<String> {
    let watches = selection.watches().iter().filter(|watch| watch.target.is_resolved());
    watches.map(|watch| watch.target.name()).collect()
}

/// The markets that were named, and those that these records name.
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

/// Applies what is missing; answers with how many steps that were.
fn migrate(store: &mut dyn Store, clock: &dyn Clock) -> Result<usize, Failure> {
    let steps = store.migrate(clock.now())?;
    for step in &steps {
        log::info!("applied schema step {step}");
    }
    Ok(steps.len())
}
