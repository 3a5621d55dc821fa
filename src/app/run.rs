//! `run`: one pass, its verdict, its row in `ingestion_runs`, its closing line.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Budget, Clock, StopFlag};
use crate::config::RunPlan;
use crate::domain::batch::Ledger;
use crate::domain::checkpoint::Checkpoint;
use crate::domain::freshness::{self, Now, State};
use crate::domain::tally::Tally;
use crate::domain::time::Timestamp;
use crate::domain::trade::Ticker;
use crate::exit::Exit;
use crate::failure::{Failure, Kind, one_line};
use crate::ingest::{self, Ended, Outcome, Source};
use crate::kalshi::Client;
use crate::logging;
use crate::pace::Pace;
use crate::progress::Bar;
use crate::report;
use crate::retry::Policy;
use crate::store::{RunId, RunRecord, Store};

/// Sharding comes with the selection of whole series; until then there is one shard.
const LOCK_NAME: &str = "run-0-of-1";
/// A checkpoint older than this is a backlog worth a progress bar.
const BACKLOG_MIN: Duration = Duration::from_secs(600);

/// What is known at the end of a pass.
struct Verdict {
    exits: Vec<Exit>,
    /// The staleness of the worst market.
    lag: Option<Duration>,
    /// The first thing that went wrong.
    error: Option<String>,
    /// Whether another pass was at work, so that this one read nothing.
    is_locked_out: bool,
}

pub(super) fn run(
    plan: RunPlan,
    store: &mut dyn Store,
    clock: &Arc<dyn Clock>,
    stop: &StopFlag,
) -> Result<Exit, Failure> {
    let started_at = clock.elapsed();
    let markets: Vec<Ticker> = plan.markets.iter().cloned().collect();
    let sla = plan.sla;
    let mut verdict = Verdict { exits: Vec::new(), lag: None, error: None, is_locked_out: false };
    let lock = store.try_lock(LOCK_NAME)?;
    let checkpoints = store.checkpoints(&markets, clock.now())?;
    let run = store.begin_run("run", clock.now())?;
    logging::set_run_id(run);
    let (tally, checkpoints, now) = match lock {
        None => {
            log::warn!("another pass is at work; this one reads nothing and judges the SLA only");
            verdict.error = Some("another pass was at work".to_owned());
            verdict.is_locked_out = true;
            (Tally::default(), checkpoints, Now::by_our_clock(clock.now()))
        }
        Some(_held) => {
            let (outcome, now) = drain(plan, store, run, checkpoints, clock, stop);
            verdict.judge_walks(&outcome, stop, markets.len());
            let checkpoints = committed(&outcome.ledger, &markets, store, clock.now());
            (outcome.tally, checkpoints, now)
        }
    };
    verdict.judge_staleness(&checkpoints, now, sla);
    let exit = verdict.exit(stop);
    let record = RunRecord {
        finished_at: clock.now(),
        exit_code: exit.code(),
        markets: markets.len(),
        tally,
        ingestion_lag: verdict.lag.map(to_milliseconds),
        error: verdict.error,
    };
    let exit = finish(store, run, &record, exit);
    let took = clock.elapsed().saturating_sub(started_at);
    log::info!("{}", report::closing_line(&record, exit.code(), took));
    Ok(exit)
}

/// The pass proper; and the time at its end.
fn drain(
    plan: RunPlan,
    store: &mut dyn Store,
    run: RunId,
    checkpoints: Vec<Checkpoint>,
    clock: &Arc<dyn Clock>,
    stop: &StopFlag,
) -> (Outcome, Now) {
    let budget = Budget::new(Arc::clone(clock), plan.deadline, stop.clone());
    let client = Client::new(plan.access);
    let pace = Pace::new(plan.rate);
    let source = Arc::new(Source::new(client, pace, Policy::default(), plan.rules, budget));
    let is_behind = |row: &Checkpoint| {
        row.walk.is_some()
            || row.complete_until.is_none_or(|at| clock.now().since(at) > BACKLOG_MIN)
    };
    let is_wanted = log::log_enabled!(log::Level::Info) && checkpoints.iter().any(is_behind);
    let bar = Bar::start(checkpoints.len(), is_wanted);
    let outcome = ingest::pass(store, run, checkpoints, &source, plan.workers, &mut |sight| {
        bar.show(sight);
    });
    let exchange = source.client().exchange_now(clock.as_ref());
    (outcome, Now { exchange, ours: clock.now() })
}

/// The checkpoints at the end of the pass. What another pass moved is read again; if the
/// database is gone by now, the rest has to do.
fn committed(
    ledger: &Ledger,
    markets: &[Ticker],
    store: &mut dyn Store,
    now: Timestamp,
) -> Vec<Checkpoint> {
    let known: Vec<Checkpoint> =
        markets.iter().filter_map(|market| ledger.get(market).cloned()).collect();
    if known.len() == markets.len() {
        return known;
    }
    store.checkpoints(markets, now).unwrap_or(known)
}

/// Finer figures say nothing: the exchange tells its time in seconds.
fn to_milliseconds(span: Duration) -> Duration {
    Duration::from_millis(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
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

impl Verdict {
    /// What the walks and the writer came to.
    fn judge_walks(&mut self, outcome: &Outcome, stop: &StopFlag, markets: usize) {
        let mut is_forbidden = false;
        let mut out_of_time = 0_usize;
        for (market, ended) in &outcome.ended {
            let exit = match ended {
                Ended::Level | Ended::Guarded(_) => Exit::Ok,
                Ended::OutOfTime => {
                    out_of_time += 1;
                    Exit::Ok
                }
                // Readers at work at the same time are all turned away: once is enough to say.
                Ended::Failed(failure) if failure.kind == Kind::ExchangeForbids => {
                    if std::mem::replace(&mut is_forbidden, true) {
                        continue;
                    }
                    Exit::Exchange
                }
                Ended::Failed(failure) => Exit::of_kind(failure.kind),
                Ended::Panicked => Exit::Bug,
            };
            if let Some(trouble) = ended.trouble() {
                let names_market = matches!(ended, Ended::Failed(_));
                let line = if names_market { trouble } else { format!("{market}: {trouble}") };
                self.trouble(exit, line);
            }
        }
        if let Some(first) = &outcome.first_rejected {
            // Nothing is lost and nothing is blocked, but a person has to know.
            let count = outcome.tally.events_rejected;
            let message = format!(
                "{count} events could not be read as trades and are kept in raw_kalshi_trade_events only; the first: {first}"
            );
            let all_were = outcome.tally.events_ingested + outcome.tally.events_duplicate == 0;
            if all_were {
                self.exits.push(Exit::Exchange);
            }
            log::error!("{message}");
            self.error.get_or_insert(message);
        }
        if let Some(failure) = &outcome.store_failure {
            self.trouble(Exit::Database, one_line(failure));
            return;
        }
        if let Some(signal) = stop.signal() {
            log::warn!("stopped by signal {signal}; progress is kept");
            return;
        }
        let unread = markets.saturating_sub(outcome.ended.len());
        if unread > 0 && !is_forbidden && out_of_time == 0 && !outcome.is_over {
            let message = "a reader ended without a word; please report this as a bug";
            self.trouble(Exit::Bug, message.to_owned());
        } else if unread + out_of_time > 0 {
            log::warn!(
                "{} of {markets} markets are not read to the end; the next pass goes on there",
                unread + out_of_time
            );
        }
    }

    /// One line for whoever has to act: an error if the exit status will show it.
    fn trouble(&mut self, exit: Exit, message: String) {
        if exit == Exit::Ok {
            log::warn!("{message}");
        } else {
            log::error!("{message}");
        }
        self.exits.push(exit);
        self.error.get_or_insert(message);
    }

    fn judge_staleness(&mut self, checkpoints: &[Checkpoint], now: Now, sla: Duration) {
        for checkpoint in checkpoints {
            let staleness = freshness::staleness(checkpoint, now);
            if checkpoint.retired_at.is_none() {
                self.lag = self.lag.max(Some(staleness));
            }
            // Without the database every market is stale, which is not news.
            let is_known = !self.exits.contains(&Exit::Database);
            if is_known && freshness::state(checkpoint, now, sla) == State::Stale {
                let mut message = report::breach_line(checkpoint, staleness, sla);
                if self.is_locked_out {
                    message.push_str("; another pass is at work");
                }
                self.trouble(Exit::Stale, message);
            }
        }
    }

    fn exit(&self, stop: &StopFlag) -> Exit {
        let first = Exit::first(self.exits.iter().copied());
        match stop.signal() {
            // That progress is kept would not be true.
            Some(_) if first == Exit::Database => first,
            Some(signal) => Exit::of_signal(signal),
            None => first,
        }
    }
}
