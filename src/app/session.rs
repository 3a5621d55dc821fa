//! The common frame of every command that works: a row of `ingestion_runs`, a closing line, and the exit status.

use std::sync::Arc;
use std::time::Duration;

use super::outside::Outside;
use super::pacing::Pacing;
use super::say;
use crate::clock::{Budget, StopFlag};
use crate::config::ExchangePlan;
use crate::domain::evidence::ExchangeClock;
use crate::domain::exchange_record::ComeBack;
use crate::domain::freshness::Now;
use crate::domain::selection::Shard;
use crate::domain::tally::{Retries, RetryReason, Tally};
use crate::driver::{Effort, Ending, Reconnection, Verdict};
use crate::exit::Exit;
use crate::failure::{Failure, one_line};
use crate::ingest::{Asker, Stop, moment};
use crate::logging;
use crate::metrics::LastRun;
use crate::report;
use crate::retry::Policy;
use crate::store::{ExchangeKey, RunId, RunRecord, Store};

/// A budget far longer than any command needs at the slowest rate in use.
pub(super) const LONG: Duration = Duration::from_secs(86_400);

/// The time limit for the closing record when the connection breaks just then.
const END_MAX: Duration = Duration::from_secs(5);

/// A command in progress.
pub(super) struct Session<'a> {
    outside: &'a Outside,
    stop: &'a StopFlag,
    started_at: Duration,
    /// The name of the command in the closing line.
    name: &'static str,
    run: RunId,
    /// The distance below its checkpoint from which each walk of a pass reads again.
    pub(super) overlap: Option<Duration>,
    /// The number of repetitions because of the database.
    retries: Retries,
    /// The recorded time to come back, and the key of the record.
    come_back: Option<(ExchangeKey, ComeBack)>,
}

/// The work of a command.
pub(super) struct Done {
    /// The number of markets in its work.
    pub(super) markets: usize,
    /// The counts.
    pub(super) tally: Tally,
    /// The verdict.
    pub(super) verdict: Verdict,
}

/// A command that has ended.
pub(super) struct Closed {
    pub(super) exit: Exit,
    pub(super) record: RunRecord,
    pub(super) took: Duration,
    /// The two clocks at its end.
    pub(super) now: Now,
    /// The closing line.
    pub(super) line: String,
    /// The lines of the markets that breach their SLA.
    pub(super) breaches: Vec<String>,
}

impl Closed {
    /// The figures of this run for the metrics.
    pub(super) fn last_run(&self) -> LastRun {
        let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        LastRun {
            duration: self.took,
            exit_code: i16::from(self.exit.code()),
            requests: count(self.record.tally.requests),
            events_ingested: count(self.record.tally.events_ingested),
            finished_at: self.record.finished_at,
        }
    }

    /// The first failure and every breach, then the closing line.
    pub(super) fn words(&self) -> String {
        let mut words = String::new();
        let error = self.record.error.iter();
        let breaches =
            self.breaches.iter().filter(|line| Some(*line) != self.record.error.as_ref());
        for line in error.chain(breaches).chain([&self.line]) {
            words.push_str(line);
            words.push('\n');
        }
        words
    }
}

impl<'a> Session<'a> {
    /// Opens the row. `name` is the name of the command in the closing line.
    pub(super) fn begin(
        command: &str,
        name: &'static str,
        store: &mut dyn Store,
        outside: &'a Outside,
        stop: &'a StopFlag,
    ) -> Result<Session<'a>, Failure> {
        let started_at = outside.clock.elapsed();
        let run = store.begin_run(command, outside.clock.now())?;
        logging::set_run_id(run);
        let (overlap, retries, come_back) = (None, Retries::default(), None);
        Ok(Session { outside, stop, started_at, name, run, overlap, retries, come_back })
    }

    /// The number of the row.
    pub(super) fn run(&self) -> RunId {
        self.run
    }

    /// A budget of this span, which ends early when the program is asked to stop.
    pub(super) fn budget(&self, span: Duration) -> Budget {
        Budget::new(Arc::clone(&self.outside.clock), span, self.stop.clone())
    }

    /// An asker of the exchange for this span, at the rate of the command. It does not ask while the exchange refuses
    /// requests.
    pub(super) fn asker(
        &mut self,
        exchange: ExchangePlan,
        span: Duration,
        shard: Shard,
        store: &mut dyn Store,
    ) -> Arc<Asker> {
        let (asker, mut pacing) = self.unpaced(exchange, span, shard, store);
        pacing.settle_and_save(&asker, store);
        asker
    }

    /// The same asker before the exchange was asked for the rate, for a pass that may have nothing to ask.
    pub(super) fn unpaced(
        &mut self,
        exchange: ExchangePlan,
        span: Duration,
        shard: Shard,
        store: &mut dyn Store,
    ) -> (Arc<Asker>, Pacing) {
        let (asker, mut pacing) = asker(exchange, span, shard, self.outside, self.stop);
        let come_back = heed(&asker, &mut pacing, store);
        self.come_back = Some((pacing.key.clone(), come_back));
        (Arc::new(asker), pacing)
    }

    /// Saves the time to come back for later passes.
    fn keep_come_back(&self, asker: &Asker, store: &mut dyn Store) {
        let (Some((key, before)), come_back) = (&self.come_back, asker.come_back()) else { return };
        if *before != come_back
            && let Err(failure) = store.save_come_back(key, come_back, self.outside.clock.now())
        {
            log::debug!("{}; the next pass finds out for itself", one_line(&failure));
        }
    }

    /// Does `work`, and repeats it when the database connection breaks: committed work is stored, so the repetition
    /// continues after the last batch. The repetitions end with the budget at the latest.
    pub(super) fn with_reconnect<T>(
        &mut self,
        store: &mut dyn Store,
        budget: &Budget,
        mut work: impl FnMut(&mut dyn Store) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let (mut reconnection, mut jitter) = (Reconnection::default(), self.outside.dice.jitter());
        loop {
            let notice = match reconnection.next(moment(budget)) {
                Effort::Work => match work(store) {
                    Ok(done) => return Ok(done),
                    Err(failure) => reconnection.failed(failure, &mut jitter, moment(budget)),
                },
                Effort::Wait(wait) => {
                    budget.sleep(wait);
                    None
                }
                Effort::Reconnect => {
                    self.retries.add(RetryReason::Database);
                    reconnection.reconnected(store.reconnect(), &mut jitter, moment(budget))
                }
                Effort::GiveUp(failure) => return Err(failure),
            };
            if let Some(notice) = notice {
                log::warn!("{notice}");
            }
        }
    }

    fn finish(&mut self, store: &mut dyn Store, record: &RunRecord, exit: Exit) -> Exit {
        let (run, budget) = (self.run, self.budget(END_MAX));
        match self.with_reconnect(store, &budget, |store| store.finish_run(run, record)) {
            Ok(()) => exit,
            Err(failure) => {
                // After the first error about the database a second one says nothing new.
                if exit != Exit::Database {
                    log::error!("{}", one_line(&failure));
                }
                Exit::first([exit, Exit::Database])
            }
        }
    }

    /// Closes the row and logs the closing line. Returns the exit status.
    pub(super) fn end(self, done: Done, asker: Option<&Asker>, store: &mut dyn Store) -> Exit {
        self.close(done, asker, store).exit
    }

    /// Closes the row, and returns all the facts for the receivers of the result.
    pub(super) fn close(
        mut self,
        done: Done,
        asker: Option<&Asker>,
        store: &mut dyn Store,
    ) -> Closed {
        let Done { markets, mut tally, mut verdict } = done;
        if let Some(asker) = asker {
            if let Some(Stop::ComeBackLater(at)) = asker.stopped() {
                say(verdict.come_back(at));
            }
            self.keep_come_back(asker, store);
            tally.requests = asker.requests();
            tally.retries.merge(&asker.retries());
        }
        tally.retries.merge(&self.retries);
        let Ending { exit, lag, error, breaches } = verdict.close(self.stop.signal());
        let record = RunRecord {
            finished_at: self.outside.clock.now(),
            exit_code: exit.code(),
            markets,
            tally,
            ingestion_lag: lag.map(to_milliseconds),
            error,
            overlap: self.overlap,
            is_from_exchange: asker.is_some(),
        };
        let exit = self.finish(store, &record, exit);
        let took = self.outside.clock.elapsed().saturating_sub(self.started_at);
        let line = report::closing_line(self.name, &record, exit.code(), took);
        log::info!("{line}");
        let exchange = asker.map_or(self.outside.clock.now(), Asker::exchange_now);
        let now = Now { exchange, ours: self.outside.clock.now() };
        Closed { exit, record, took, now, line, breaches }
    }
}

/// An asker of the exchange for a command that records nothing, and its rate.
pub(super) fn asker(
    exchange: ExchangePlan,
    span: Duration,
    shard: Shard,
    outside: &Outside,
    stop: &StopFlag,
) -> (Asker, Pacing) {
    let budget = Budget::new(Arc::clone(&outside.clock), span, stop.clone());
    let pacing = Pacing::new(&exchange, shard);
    let (client, pace) = (outside.client(exchange.access), pacing.pace(outside.clock.now()));
    let asker = Asker::new(client, pace, Policy::default(), budget, outside.dice.clone());
    (asker.driven(outside.drive), pacing)
}

/// The age up to which other commands believe the clocks that passes learnt.
const LATELY: Duration = Duration::from_secs(3_600);

/// Hands the recorded time to come back to the asker and the recorded limits of the account to `pacing`, and returns
/// the former. A failure to read them does no harm: the exchange would tell both again.
pub(super) fn heed(asker: &Asker, pacing: &mut Pacing, store: &mut dyn Store) -> ComeBack {
    let record = store.exchange_record(&pacing.key).unwrap_or_else(|failure| {
        log::debug!("{}; asking the exchange all the same", one_line(&failure));
        None
    });
    let record = record.unwrap_or_default();
    let ours = asker.budget().clock().now();
    // The clocks that passes learnt lately show which dates are wrong.
    if let Some(base) = record.base(ours).filter(|base| ours.since(base.ours) < LATELY) {
        asker.remember(ExchangeClock::remembered(Some(base), record.offset_us()));
    }
    let come_back = record.come_back;
    pacing.remember(record.account);
    asker.heed(come_back);
    come_back
}

/// Cuts a span to milliseconds. Finer figures mean nothing, because the exchange tells its time in seconds.
fn to_milliseconds(span: Duration) -> Duration {
    Duration::from_millis(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}
