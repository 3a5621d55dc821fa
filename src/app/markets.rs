//! `markets`: brings the metadata of the selection's markets up to date.

use std::sync::Arc;
use std::time::Duration;

use super::run::{asker, finish};
use super::verdict::Verdict;
use crate::clock::{Clock, StopFlag};
use crate::config::ExchangePlan;
use crate::domain::selection::Selection;
use crate::domain::tally::Tally;
use crate::exit::Exit;
use crate::failure::{Failure, one_line};
use crate::ingest;
use crate::logging;
use crate::report;
use crate::store::{RunRecord, Store};

/// Far more than listing everything takes at the slowest rate anybody sets.
pub(super) const LONG: Duration = Duration::from_secs(86_400);

pub(super) fn markets(
    selection: &Selection,
    exchange: ExchangePlan,
    store: &mut dyn Store,
    clock: &Arc<dyn Clock>,
    stop: &StopFlag,
) -> Result<Exit, Failure> {
    let started_at = clock.elapsed();
    let run = store.begin_run("markets", clock.now())?;
    logging::set_run_id(run);
    let asker = asker(exchange, LONG, clock, stop);
    let mut verdict = Verdict::of_command();
    let mut count = 0;
    match ingest::sync(selection, store, &asker, Duration::ZERO) {
        Ok(synced) => {
            count = synced.markets;
            log::info!("{}", report::sync_line(&synced));
            verdict.judge_sync(synced);
        }
        Err(failure) => verdict.trouble(Exit::of_kind(failure.kind), one_line(&failure)),
    }
    let exit = verdict.exit(stop);
    let record = RunRecord {
        finished_at: clock.now(),
        exit_code: exit.code(),
        markets: usize::try_from(count).unwrap_or(usize::MAX),
        tally: Tally { requests: asker.requests(), retries: asker.retries(), ..Tally::default() },
        ingestion_lag: None,
        error: verdict.error,
    };
    let exit = finish(store, run, &record, exit);
    let took = clock.elapsed().saturating_sub(started_at);
    log::info!("{}", report::command_line("sync", &record, exit.code(), took));
    Ok(exit)
}
