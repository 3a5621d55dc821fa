//! One invocation: opens what is needed, does the task, says how it ended.

mod backfill;
mod markets;
mod completeness;
mod orderbooks;
mod replay;
mod run;
mod session;
mod status;
mod telling;
mod verdict;

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::sync::Arc;

use crate::cli::Cli;
use crate::clock::{Clock, StopFlag, SystemClock, TurnedClock};
use crate::config::{Config, Task};
use crate::domain::market::WatchRecord;
use crate::domain::selection::{Listed, Roster, Selection, Target};
use crate::domain::time::Timestamp;
use crate::exit::Exit;
use crate::failure::{Failure, one_line};
use crate::manual;
use crate::serve;
use crate::store::{Missing, Store};

/// Does what was typed. The only place that turns an error into words and a number.
pub fn main(cli: Cli, stop: &StopFlag) -> Exit {
    let clock: Arc<dyn Clock> = match TurnedClock::from_environment() {
        Some(turned) => Arc::new(turned),
        None => Arc::new(SystemClock::start()),
    };
    main_by(cli, stop, &clock)
}

/// The same by another clock.
pub fn main_by(cli: Cli, stop: &StopFlag, clock: &Arc<dyn Clock>) -> Exit {
    match dispatch(cli, clock, stop) {
        Ok(exit) => exit,
        Err(error) => {
            log::error!("{}", one_line(error.as_ref()));
            Exit::of_error(&error)
        }
    }
}

fn dispatch(cli: Cli, clock: &Arc<dyn Clock>, stop: &StopFlag) -> anyhow::Result<Exit> {
    if let Some(text) = manual::text(&cli.command) {
        answer_bytes(&text?)?;
        return Ok(Exit::Ok);
    }
    // A value that is not Unicode is a wrong one, not a missing one.
    let environment =
        |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    let Config { database, task } = Config::new(cli, clock.now(), &environment)?;
    match task {
        Task::Run(plan) => {
            let open = || {
                let mut store = database.open(Missing::Create)?;
                migrate(store.as_mut(), clock.as_ref())?;
                Ok(store)
            };
            Ok(run::run(*plan, open, clock, stop)?)
        }
        Task::Status { selection, sla, output, check } => {
            let mut store = database.open(Missing::Refuse)?;
            migrate(store.as_mut(), clock.as_ref())?;
            let question = status::Question { selection, sla, output, check };
            status::status(&question, store.as_mut(), clock.now())
        }
        Task::Markets { selection, exchange } => {
            let mut store = database.open(Missing::Create)?;
            migrate(store.as_mut(), clock.as_ref())?;
            Ok(markets::markets(&selection, exchange, store.as_mut(), clock, stop)?)
        }
        Task::Orderbooks { selection, exchange } => {
            let mut store = database.open(Missing::Create)?;
            migrate(store.as_mut(), clock.as_ref())?;
            Ok(orderbooks::orderbooks(&selection, exchange, store.as_mut(), clock, stop)?)
        }
        Task::Backfill(plan) if plan.is_dry => {
            let mut store = database.open(Missing::Refuse).ok();
            let store = store.as_mut().map(|store| -> &mut dyn Store { store.as_mut() });
            backfill::dry_run(*plan, store, clock, stop)
        }
        Task::Backfill(plan) => {
            let mut store = database.open(Missing::Create)?;
            migrate(store.as_mut(), clock.as_ref())?;
            Ok(backfill::backfill(*plan, store.as_mut(), clock, stop)?)
        }
        Task::Completeness(plan) => {
            let mut store = database.open(Missing::Refuse)?;
            migrate(store.as_mut(), clock.as_ref())?;
            completeness::completeness(*plan, store.as_mut(), clock, stop)
        }
        Task::Replay(plan) => {
            let mut store = database.open(Missing::Refuse)?;
            migrate(store.as_mut(), clock.as_ref())?;
            replay::replay(&plan, store.as_mut(), clock, stop)
        }
        Task::Prune { raw_older_than } => {
            let mut store = database.open(Missing::Refuse)?;
            migrate(store.as_mut(), clock.as_ref())?;
            Ok(replay::prune(raw_older_than, store.as_mut(), clock, stop)?)
        }
        Task::Serve(plan) => Ok(serve::serve(&plan, database, clock, stop)?),
        Task::Migrate => {
            let mut store = database.open(Missing::Create)?;
            if migrate(store.as_mut(), clock.as_ref())? == 0 {
                log::info!("the schema of the {database} is up to date");
            }
            Ok(Exit::Ok)
        }
    }
}

/// Writes to stdout; a reader that has seen enough (`| head`) is no error.
fn answer(text: &str) -> anyhow::Result<()> {
    answer_bytes(text.as_bytes())
}

fn answer_bytes(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
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
