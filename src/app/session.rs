//! What every command that works has in common: a row of `ingestion_runs`, a closing line, and the
//! exit status between them.

use std::sync::Arc;
use std::time::Duration;

use super::verdict::Verdict;
use crate::clock::{Budget, Clock, StopFlag};
use crate::config::ExchangePlan;
use crate::domain::tally::Tally;
use crate::exit::Exit;
use crate::failure::{Failure, one_line};
use crate::ingest::Asker;
use crate::kalshi::Client;
use crate::logging;
use crate::pace::Pace;
use crate::report;
use crate::retry::Policy;
use crate::store::{RunId, RunRecord, Store};

/// Far more than anything takes at the slowest rate anybody sets.
pub(super) const LONG: Duration = Duration::from_secs(86_400);

/// A command at work.
pub(super) struct Session<'a> {
    clock: &'a Arc<dyn Clock>,
    stop: &'a StopFlag,
    started_at: Duration,
    /// What the closing line calls it.
    name: &'static str,
    run: RunId,
}

/// What a command did.
pub(super) struct Done {
    /// How many markets it was about.
    pub(super) markets: usize,
    /// What was counted.
    pub(super) tally: Tally,
    /// What it came to.
    pub(super) verdict: Verdict,
}

impl<'a> Session<'a> {
    /// Opens the row. `name` is what the closing line calls the command.
    pub(super) fn begin(
        command: &str,
        name: &'static str,
        store: &mut dyn Store,
        clock: &'a Arc<dyn Clock>,
        stop: &'a StopFlag,
    ) -> Result<Session<'a>, Failure> {
        let started_at = clock.elapsed();
        let run = store.begin_run(command, clock.now())?;
        logging::set_run_id(run);
        Ok(Session { clock, stop, started_at, name, run })
    }

    /// The row's number.
    pub(super) fn run(&self) -> RunId {
        self.run
    }

    /// What asks the exchange, for so long.
    pub(super) fn asker(&self, exchange: ExchangePlan, span: Duration) -> Arc<Asker> {
        Arc::new(asker(exchange, span, self.clock, self.stop))
    }

    /// Closes the row and says the closing line; the exit status.
    pub(super) fn end(self, done: Done, asker: Option<&Asker>, store: &mut dyn Store) -> Exit {
        let Done { markets, mut tally, verdict } = done;
        if let Some(asker) = asker {
            (tally.requests, tally.retries) = (asker.requests(), asker.retries());
        }
        let exit = verdict.exit(self.stop);
        let record = RunRecord {
            finished_at: self.clock.now(),
            exit_code: exit.code(),
            markets,
            tally,
            ingestion_lag: verdict.lag.map(to_milliseconds),
            error: verdict.error,
        };
        let exit = finish(store, self.run, &record, exit);
        let took = self.clock.elapsed().saturating_sub(self.started_at);
        log::info!("{}", report::closing_line(self.name, &record, exit.code(), took));
        exit
    }
}

/// What asks the exchange, where nothing is recorded.
pub(super) fn asker(
    exchange: ExchangePlan,
    span: Duration,
    clock: &Arc<dyn Clock>,
    stop: &StopFlag,
) -> Asker {
    let budget = Budget::new(Arc::clone(clock), span, stop.clone());
    Asker::new(Client::new(exchange.access), Pace::new(exchange.rate), Policy::default(), budget)
}

fn finish(store: &mut dyn Store, run: RunId, record: &RunRecord, exit: Exit) -> Exit {
    match store.finish_run(run, record) {
        Ok(()) => exit,
        Err(failure) => {
            // After the first complaint about the database a second one says nothing new.
            if exit != Exit::Database {
                log::error!("{}", one_line(&failure));
            }
            Exit::first([exit, Exit::Database])
        }
    }
}

/// Finer figures say nothing: the exchange tells its time in seconds.
fn to_milliseconds(span: Duration) -> Duration {
    Duration::from_millis(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}
