//! `orderbooks`: one snapshot of the book of each selected market that trades.

use std::sync::Arc;

use super::markets::LONG;
use super::run::{asker, finish};
use super::verdict::Verdict;
use crate::clock::{Clock, StopFlag};
use crate::config::ExchangePlan;
use crate::domain::selection::Selection;
use crate::domain::tally::Tally;
use crate::exit::Exit;
use crate::failure::{Failure, one_line};
use crate::ingest::{self, Asker};
use crate::logging;
use crate::report;
use crate::store::{RunRecord, Store};

pub(super) fn orderbooks(
    selection: &Selection,
    exchange: ExchangePlan,
    store: &mut dyn Store,
    clock: &Arc<dyn Clock>,
    stop: &StopFlag,
) -> Result<Exit, Failure> {
    let started_at = clock.elapsed();
    let lock = store.try_lock(&format!("orderbooks-{}", selection.shard().file_name()))?;
    if lock.is_none() {
        log::warn!("another snapshot is being taken; this one leaves it to that");
        return Ok(Exit::Ok);
    }
    let run = store.begin_run("orderbooks", clock.now())?;
    logging::set_run_id(run);
    let asker = asker(exchange, LONG, clock, stop);
    let mut verdict = Verdict::of_command();
    let mut books = 0;
    if let Err(failure) = snapshot(selection, store, &asker, &mut verdict, &mut books) {
        verdict.trouble(Exit::of_kind(failure.kind), one_line(&failure));
    }
    let exit = verdict.exit(stop);
    let record = RunRecord {
        finished_at: clock.now(),
        exit_code: exit.code(),
        markets: books,
        tally: Tally { requests: asker.requests(), retries: asker.retries(), ..Tally::default() },
        ingestion_lag: None,
        error: verdict.error,
    };
    let exit = finish(store, run, &record, exit);
    let took = clock.elapsed().saturating_sub(started_at);
    log::info!("{}", report::command_line("snapshot", &record, exit.code(), took));
    Ok(exit)
}

fn snapshot(
    selection: &Selection,
    store: &mut dyn Store,
    asker: &Asker,
    verdict: &mut Verdict,
    books: &mut usize,
) -> Result<(), Failure> {
    let mut resolved = ingest::resolve(selection, store, asker)?;
    verdict.judge_resolution(&mut resolved, asker.budget().clock().now());
    let taken = ingest::take_books(selection, &resolved, store, asker)?;
    *books = taken.books;
    verdict.judge_books(taken);
    Ok(())
}
