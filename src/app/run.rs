//! `run`: one pass, its verdict, its row in `ingestion_runs`, its closing line.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::memory::{self, Head, Memory};
use super::notify;
use super::outside::Outside;
use super::pacing::Pacing;
use super::session::{Closed, Done, Session};
use super::{judge_resolution, say};
use crate::clock::StopFlag;
use crate::config::RunPlan;
use crate::domain::batch::Committed;
use crate::domain::checkpoint::{Checkpoint, Retirement};
use crate::domain::evidence::ExchangeClock;
use crate::domain::freshness::Now;
use crate::domain::job::{Background, Job};
use crate::domain::lifecycle;
use crate::domain::market::WatchChange;
use crate::domain::page::{Rules, Traded};
use crate::domain::plan::{self, Outlook};
use crate::domain::scope::Scope;
use crate::domain::selection::Selection;
use crate::domain::tally::Tally;
use crate::domain::tape::BEGINS_AGO;
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::domain::venue::TapeRate;
use crate::driver::Verdict;
use crate::exit::Exit;
use crate::failure::{Failure, Kind, one_line};
use crate::ingest::{self, Asker, Closing, Outcome, Resolved, Source};
use crate::kalshi::VENUE;
use crate::metrics::LastRun;
use crate::progress::Bar;
use crate::report;
use crate::store::{ExchangeKey, RunId, Store};
use crate::webhook::Ping;

/// A checkpoint older than this is a backlog worth a progress bar.
const BACKLOG_MIN: Duration = Duration::from_secs(600);

/// Does one pass over the database that `open` opens, and notifies all receivers of the result.
pub(super) fn run(
    plan: RunPlan,
    open: impl FnOnce() -> Result<Box<dyn Store>, Failure>,
    outside: &Outside,
    stop: &StopFlag,
) -> Result<Exit, Failure> {
    let (notify, selection) = (plan.notify.clone(), plan.selection.clone());
    let clock = outside.clock.as_ref();
    let started_at = clock.elapsed();
    let ping = notify.ping.clone().map(Ping::start);
    let ended = open().and_then(|mut store| {
        let closed = pass(plan, store.as_mut(), outside, stop)?;
        notify::metrics(&notify, &selection, store.as_mut(), closed.last_run(), closed.now);
        Ok(closed)
    });
    let (exit, words) = match &ended {
        Ok(closed) => (closed.exit, closed.words()),
        Err(failure) => (Exit::of_kind(failure.kind), one_line(failure)),
    };
    if ended.is_err() {
        let (took, finished_at) = (clock.elapsed().saturating_sub(started_at), clock.now());
        let last = LastRun::without_work(took, exit.code(), finished_at);
        notify::unavailable(&notify, &selection, last);
    }
    if let Some(ping) = ping {
        ping.end(exit.code(), &words);
    }
    ended.map(|closed| closed.exit)
}

fn pass(
    plan: RunPlan,
    store: &mut dyn Store,
    outside: &Outside,
    stop: &StopFlag,
) -> Result<Closed, Failure> {
    let lock_name = format!("run-{}", plan.selection.shard().file_name());
    let mut session = Session::begin("run", "pass", store, outside, stop)?;
    session.overlap = Some(plan.rules.overlap);
    let shard = plan.selection.shard();
    let (asker, pacing) = session.unpaced(plan.exchange, plan.deadline, shard, store);
    let mut pass = Pass {
        key: pacing.key.clone(),
        asker,
        pacing,
        selection: plan.selection,
        rules: plan.rules,
        workers: plan.workers,
        sync_every: plan.sync_every,
        run: session.run(),
        tally: Tally::default(),
        verdict: Verdict::default(),
        markets: 0,
    };
    let budget = pass.asker.budget().clone();
    let mut lock = None;
    let done = session.with_reconnect(store, &budget, |store| {
        // The lock ends with the connection that broke. If another pass has taken it meanwhile, that one continues
        // alone.
        drop(lock.take());
        lock = store.try_lock(&lock_name)?;
        pass.verdict.begin_again();
        if lock.is_some() { pass.drain(store, stop) } else { pass.stand_by(store) }
    });
    if let Err(failure) = done {
        say(pass.verdict.broken_off(&failure));
    }
    let Pass { asker, tally, verdict, markets, .. } = pass;
    Ok(session.close(Done { markets, tally, verdict }, Some(&asker), store))
}

/// A pass in progress.
struct Pass {
    key: ExchangeKey,
    selection: Selection,
    asker: Arc<Asker>,
    pacing: Pacing,
    rules: Rules,
    workers: usize,
    sync_every: Option<Duration>,
    run: RunId,
    tally: Tally,
    verdict: Verdict,
    markets: usize,
}

/// Warns that `--since` reaches below the trades that a pass can read.
fn tell_archived(rules: Rules) {
    let Some((since, cutoff)) = rules.since.zip(rules.cutoff) else { return };
    if since < cutoff {
        log::warn!(
            "--since {since}: trades before {} are in the archive, which only `backfill` reads",
            cutoff.ceil()
        );
    }
}

impl Pass {
    fn now(&self) -> Timestamp {
        self.asker.budget().clock().now()
    }

    /// Another pass is at work: this one reads no trades and judges by the database.
    fn stand_by(&mut self, store: &mut dyn Store) -> Result<(), Failure> {
        say(self.verdict.lock_out());
        let now = self.now();
        // The record is read first: the other pass writes the heard instants before the clock that they are by.
        let record = store.exchange_record(&self.key)?.unwrap_or_default();
        for target in super::leave_out_refused(&mut self.selection, store)? {
            say(self.verdict.failure(&ingest::unknown(&target)));
        }
        store.note_selection(self.selection.watches(), now)?;
        let roster = super::roster_on_record(&self.selection, store, now)?;
        self.markets = roster.len();
        let checkpoints = store.checkpoints(&roster.scopes(), now)?;
        let overview = store.overview(now)?;
        // The exchange answers nothing to this pass. The record also shows whether our clock was set back since.
        let known = ExchangeClock::remembered(record.base(now), record.offset_us());
        let clocks = Now { exchange: known.now(now), ours: now };
        say(self.verdict.judge_staleness(&checkpoints, &roster, clocks));
        // This pass asked nothing, but the record shows for how long the exchange has not answered.
        for summary in overview.summaries(Some(&self.selection), clocks) {
            if let Some(since) = summary.unresolved_since {
                say(self.verdict.unresolved(&summary.target, since, summary.sla, clocks.earlier()));
            }
        }
        Ok(())
    }

    /// Does the pass itself.
    fn drain(&mut self, store: &mut dyn Store, stop: &StopFlag) -> Result<(), Failure> {
        // The remembered clocks come first: the answer about the limits is compared with them.
        let mut memory = Memory::load(self.key.clone(), store, &self.asker, self.now())?;
        self.pacing.settle_and_save(&self.asker, store);
        let resolved = ingest::resolve(&self.selection, store, &self.asker)?;
        store.note_selection(self.selection.without(&resolved.refused).watches(), self.now())?;
        let heard_until = self.clocks().earlier();
        say(judge_resolution(&mut self.verdict, &resolved, heard_until));
        self.markets = resolved.roster.len();
        let scopes = resolved.roster.scopes();
        let mut committed = Committed::new(store.checkpoints(&scopes, self.now())?);
        let reopened: Vec<Ticker> =
            self.retirements(&committed, &resolved, Retirement::Reopen).collect();
        self.retire_or_reopen(store, &mut committed, &reopened, Retirement::Reopen)?;
        let mut outcome = self.read(store, committed, &resolved, &mut memory)?;
        self.tally.merge(&outcome.tally);
        if let Some(failure) = outcome.broken_off() {
            say(self.verdict.judge_rejected(&outcome));
            return Err(failure);
        }
        say(self.verdict.judge_walks(&outcome, stop.signal()));
        if outcome.store_failure.is_none() {
            let is_plausible = self.close(store, &mut outcome, &resolved, &mut memory)?;
            let (selection, strangers) = (&self.selection, &outcome.strangers);
            ingest::take_back_traded(selection, store, self.run, strangers, self.now())?;
            let retired: Vec<Ticker> = self
                .retirements(&outcome.committed, &resolved, Retirement::Retire)
                .filter(|ticker| is_plausible || !is_untraded(&outcome.committed, ticker))
                .collect();
            self.retire_or_reopen(store, &mut outcome.committed, &retired, Retirement::Retire)?;
            forget(store, &resolved, &retired)?;
        }
        // Staleness is judged last: a reported verdict cannot be taken back if the database connection breaks before
        // the end.
        let synced = match outcome.store_failure {
            None => self.sync(store),
            Some(_) => Ok(()),
        };
        if let Err(failure) = &synced
            && failure.kind == Kind::StoreInterrupted
        {
            return synced;
        }
        Memory::tell_clock(&self.asker);
        let checkpoints = self.at_the_end(&outcome.committed, &scopes, store);
        let now = self.clocks();
        say(self.verdict.judge_staleness(&checkpoints, &resolved.roster, now));
        synced
    }

    /// Commits the heard instants if silence is plausible, and notes the exchange's facts. Returns whether silence is
    /// plausible.
    fn close(
        &self,
        store: &mut dyn Store,
        outcome: &mut Outcome,
        resolved: &Resolved,
        memory: &mut Memory,
    ) -> Result<bool, Failure> {
        let is_silent = |(scope, until): (&Scope, &Timestamp)| {
            outcome.committed.get(scope).is_some_and(|row| memory::is_silent(row, *until))
        };
        let mut leaving = self.retirements(&outcome.committed, resolved, Retirement::Retire);
        let is_untraded = |ticker: Ticker| is_untraded(&outcome.committed, &ticker);
        let needs = outcome.heard.iter().any(is_silent) || leaving.any(is_untraded);
        drop(leaving);
        let anchors = outcome.committed.iter().filter_map(|row| row.anchor.clone());
        let shown = anchors.max_by_key(|anchor| anchor.at);
        let stored = outcome.committed.iter().filter_map(|row| row.last_trade_at).max();
        let head = Memory::head(outcome.head.take(), needs, &self.asker);
        let is_shown = matches!(head, Head::Shown(_));
        if let Some(newest) = head.clone().shown().map(|newest| newest.at).max(stored) {
            self.asker.show(newest);
        }
        let Outcome { committed, heard, .. } = outcome;
        if !is_shown {
            // Where the exchange shows no trade at all, a market that was never level is not silent.
            heard.retain(|scope, _| committed.get(scope).is_some_and(|row| row.level_at.is_some()));
        }
        let now = self.now();
        let is_plausible = memory.judge_silence(head, shown, needs, &self.asker, now);
        if !is_plausible {
            heard.clear();
        }
        let closing = Closing { heard, exchange: self.asker.exchange_now(), ours: now };
        ingest::close(store, self.run, committed, &closing)?;
        memory.save(store, &self.asker, now)?;
        Ok(is_plausible)
    }

    /// The walks that this pass has to do.
    fn plan(&self, active: Vec<Checkpoint>, tape: TapeRate) -> Vec<Job> {
        let jobs = plan::plan(active, self.outlook(tape));
        if let Some(Job::Tape { riders, .. }) = jobs.first() {
            log::debug!(
                "reading the tape for {} markets and {} markets alone; it holds {:.0} trades a second",
                riders.len(),
                jobs.len() - 1,
                tape.per_second,
            );
        }
        jobs
    }

    fn outlook(&self, tape: TapeRate) -> Outlook {
        let now = self.asker.exchange_now();
        let tape_since = self.rules.since.unwrap_or(now.before(BEGINS_AGO)).floor();
        Outlook { now, tape, overlap: self.rules.overlap, tape_since }
    }

    fn read(
        &self,
        store: &mut dyn Store,
        committed: Committed,
        resolved: &Resolved,
        memory: &mut Memory,
    ) -> Result<Outcome, Failure> {
        let active: Vec<Checkpoint> =
            committed.iter().filter(|row| row.retired_at.is_none()).cloned().collect();
        let bar = self.bar(&active);
        let tape_rate = store.tape_rate()?;
        let rules = memory.rules(self.rules, &active, &self.asker, self.now());
        if active.iter().any(|row| row.complete_until.is_none()) {
            tell_archived(rules);
        }
        let rules = Rules { tape_rate, ..rules };
        let jobs = self.plan(active, VENUE.tape(tape_rate));
        let traded = traded(store, resolved, &jobs)?;
        let background =
            Background { traded, newest: memory.newest().cloned(), ..Background::default() };
        let source = Arc::new(Source::new(Arc::clone(&self.asker), rules, background));
        Ok(ingest::read_all(
            store,
            self.run,
            committed,
            jobs,
            &source,
            self.workers,
            &mut |pass_progress| {
                bar.show(pass_progress);
            },
        ))
    }

    fn bar(&self, active: &[Checkpoint]) -> Bar {
        let now = self.now();
        let is_behind = |row: &Checkpoint| {
            row.walk.is_some() || row.known_until().is_none_or(|at| now.since(at) > BACKLOG_MIN)
        };
        let is_any_behind = active.iter().any(is_behind);
        Bar::start(active.len(), log::log_enabled!(log::Level::Info) && is_any_behind)
    }

    fn clocks(&self) -> Now {
        Now { exchange: self.asker.exchange_now(), ours: self.now() }
    }

    /// The markets that are due to retire, or due to be reopened.
    fn retirements<'l>(
        &self,
        committed: &'l Committed,
        resolved: &'l Resolved,
        wanted: Retirement,
    ) -> impl Iterator<Item = Ticker> + 'l {
        let late_max = self.rules.overlap + self.rules.settle;
        resolved.roster.markets().filter_map(move |(ticker, demand)| {
            let (checkpoint, known) = (committed.market(ticker)?, resolved.known.get(ticker));
            let retirement = lifecycle::retirement(known, demand.listed, checkpoint, late_max)?;
            (retirement == wanted).then(|| ticker.clone())
        })
    }

    /// Retires or reopens these markets.
    fn retire_or_reopen(
        &self,
        store: &mut dyn Store,
        committed: &mut Committed,
        markets: &[Ticker],
        wanted: Retirement,
    ) -> Result<(), Failure> {
        let retirements = markets.iter().map(|ticker| (ticker.clone(), wanted)).collect();
        ingest::retire_or_reopen(store, self.run, committed, retirements, self.now())
    }

    /// The checkpoints at the end of the pass. Those that another pass moved are read again; without the database the
    /// others have to do.
    fn at_the_end(
        &self,
        committed: &Committed,
        scopes: &[Scope],
        store: &mut dyn Store,
    ) -> Vec<Checkpoint> {
        let known: Vec<Checkpoint> =
            scopes.iter().filter_map(|scope| committed.get(scope).cloned()).collect();
        if known.len() == scopes.len() {
            return known;
        }
        store.checkpoints(scopes, self.now()).unwrap_or(known)
    }

    /// Brings the metadata up to date if a sync is due.
    fn sync(&mut self, store: &mut dyn Store) -> Result<(), Failure> {
        let Some(every) = self.sync_every else { return Ok(()) };
        if self.asker.stopped().is_some() {
            return Ok(());
        }
        let synced = ingest::sync(&self.selection, store, &self.asker, every, self.run)?;
        if synced.entries > 0 {
            log::info!("{}", report::sync_line(&synced));
        }
        say(self.verdict.failures(&synced.troubles));
        Ok(())
    }
}

/// Whether each market has ever traded: by its description, or because trades of it are stored, for example from the
/// tape.
fn traded(
    store: &mut dyn Store,
    resolved: &Resolved,
    jobs: &[Job],
) -> Result<HashMap<Ticker, Traded>, Failure> {
    let mut traded: HashMap<Ticker, Traded> =
        resolved.known.iter().map(|(ticker, known)| (ticker.clone(), known.traded())).collect();
    let is_unseen = |row: &&Checkpoint| {
        let said = row.scope.market().and_then(|market| traded.get(market)).copied();
        let said = said.unwrap_or_default();
        row.anchor.is_none() && matches!(said, Traded::Never(_) | Traded::Unknown)
    };
    let alone = jobs.iter().filter_map(|job| match job {
        Job::Market(row) => Some(row),
        Job::Tape { .. } | Job::Slice { .. } => None,
    });
    let unseen: Vec<Ticker> =
        alone.filter(is_unseen).filter_map(|row| row.scope.market().cloned()).collect();
    if !unseen.is_empty() {
        let stored = store.stored_lifetime(&unseen, None)?.into_iter();
        traded.extend(stored.map(|(market, _)| (market, Traded::Stored)));
    }
    Ok(traded)
}

/// Whether a market would retire because of silence alone: no list ever showed a trade of it.
fn is_untraded(committed: &Committed, market: &Ticker) -> bool {
    committed.market(market).is_some_and(|row| row.anchor.is_none())
}

/// Removes retired markets from the members of the watches; they need not be remembered there.
fn forget(store: &mut dyn Store, resolved: &Resolved, retired: &[Ticker]) -> Result<(), Failure> {
    if retired.is_empty() {
        return Ok(());
    }
    let retired: HashSet<&Ticker> = retired.iter().collect();
    let change = |record: &crate::domain::market::WatchRecord| WatchChange {
        watch: record.watch.clone(),
        left: record.members.iter().filter(|member| retired.contains(*member)).cloned().collect(),
        ..WatchChange::default()
    };
    let changes: Vec<WatchChange> =
        resolved.records.iter().map(change).filter(|change| !change.left.is_empty()).collect();
    if changes.is_empty() { Ok(()) } else { store.save_watches(&changes) }
}
