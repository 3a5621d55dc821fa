//! What every command that works has in common: a row of `ingestion_runs`, a closing line, and the
//! exit status between them.

use std::sync::Arc;
use std::time::Duration;

use super::outside::Outside;
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
use crate::pace::Pace;
use crate::report;
use crate::retry::Policy;
use crate::store::{ExchangeKey, RunId, RunRecord, Store};

/// Far more than anything takes at the slowest rate anybody sets.
pub(super) const LONG: Duration = Duration::from_secs(86_400);

/// What the closing record may take when the database breaks off just then.
const END_MAX: Duration = Duration::from_secs(5);

/// A command at work.
pub(super) struct Session<'a> {
    outside: &'a Outside,
    stop: &'a StopFlag,
    started_at: Duration,
    /// What the closing line calls it.
    name: &'static str,
    run: RunId,
    /// How far below their checkpoints the walks of a pass re-read.
    pub(super) overlap: Option<Duration>,
    /// How often the database had to be asked again.
    retries: Retries,
    /// What is on record of when to come back, and whose record it is.
    come_back: Option<(ExchangeKey, ComeBack)>,
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

/// A command that has ended.
pub(super) struct Closed {
    pub(super) exit: Exit,
    pub(super) record: RunRecord,
    pub(super) took: Duration,
    /// The two clocks at its end.
    pub(super) now: Now,
    /// The closing line.
    pub(super) line: String,
    /// The lines of the markets that breach.
    pub(super) breaches: Vec<String>,
}

impl Closed {
    /// What the metrics say of it.
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

    /// The closing line, and before it the first thing that went wrong and every breach.
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
    /// Opens the row. `name` is what the closing line calls the command.
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

    /// The row's number.
    pub(super) fn run(&self) -> RunId {
        self.run
    }

    /// So long, or until the program is asked to stop.
    pub(super) fn budget(&self, span: Duration) -> Budget {
        Budget::new(Arc::clone(&self.outside.clock), span, self.stop.clone())
    }

    /// What asks the exchange, for so long, unless that wants to be left alone.
    pub(super) fn asker(
        &mut self,
        exchange: ExchangePlan,
        span: Duration,
        shard: Shard,
        store: &mut dyn Store,
    ) -> Arc<Asker> {
        let key = ExchangeKey { shard: shard.to_string(), host: exchange.access.endpoint.host() };
        let asker = Arc::new(asker(exchange, span, self.outside, self.stop));
        let come_back = heed(&asker, &key, store);
        self.come_back = Some((key, come_back));
        asker
    }

    /// Keeps when to come back for the passes after this one.
    fn keep_come_back(&self, asker: &Asker, store: &mut dyn Store) {
        let (Some((key, before)), come_back) = (&self.come_back, asker.come_back()) else { return };
        if *before != come_back
            && let Err(failure) = store.save_come_back(key, come_back, self.outside.clock.now())
        {
            log::debug!("{}; the next pass finds out for itself", one_line(&failure));
        }
    }

    /// Does `work`, and does it again when the database breaks off: what was committed is there, so
    /// it goes on from the last batch. Until the budget is over, and not for ever.
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
                // After the first complaint about the database a second one says nothing new.
                if exit != Exit::Database {
                    log::error!("{}", one_line(&failure));
                }
                Exit::first([exit, Exit::Database])
            }
        }
    }

    /// Closes the row and says the closing line; the exit status.
    pub(super) fn end(self, done: Done, asker: Option<&Asker>, store: &mut dyn Store) -> Exit {
        self.close(done, asker, store).exit
    }

    /// The same, with all that can be told of it.
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

/// What asks the exchange, where nothing is recorded.
pub(super) fn asker(
    exchange: ExchangePlan,
    span: Duration,
    outside: &Outside,
    stop: &StopFlag,
) -> Asker {
    let budget = Budget::new(Arc::clone(&outside.clock), span, stop.clone());
    let (client, pace) = (outside.client(exchange.access), Pace::new(exchange.rate));
    Asker::new(client, pace, Policy::default(), budget, outside.dice.clone()).driven(outside.drive)
}

/// What passes knew of the clocks is believed by others for so long.
const LATELY: Duration = Duration::from_secs(3_600);

/// Has the asker do as earlier passes were told; what is on record of that. It need not be known: the
/// exchange would say it again.
pub(super) fn heed(asker: &Asker, key: &ExchangeKey, store: &mut dyn Store) -> ComeBack {
    let record = store.exchange_record(key).unwrap_or_else(|failure| {
        log::debug!("{}; asking the exchange all the same", one_line(&failure));
        None
    });
    let record = record.unwrap_or_default();
    let ours = asker.budget().clock().now();
    // What passes knew of the clocks lately says which dates are wrong.
    if let Some(base) = record.base(ours).filter(|base| ours.since(base.ours) < LATELY) {
        asker.remember(ExchangeClock::remembered(Some(base), record.offset_us()));
    }
    let come_back = record.come_back;
    asker.heed(come_back);
    come_back
}

/// Finer figures say nothing: the exchange tells its time in seconds.
fn to_milliseconds(span: Duration) -> Duration {
    Duration::from_millis(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}
