//! `backfill`: completes a window of the past across both tiers, slice by slice.

use crate::domain::scope::{GroupId, Scope};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::database::{Database, ask};
use super::outside::Outside;
use super::say;
use super::session::{Done, LONG, Session, asker, heed};
use super::shown::{SETTLE, Shown, shown_until};
use super::vouching::Witnesses;
use crate::clock::StopFlag;
use crate::config::{BackfillPlan, Want};
use crate::domain::backfill::{self, FillWindow, Lifespan, Scheme};
use crate::domain::batch::Committed;
use crate::domain::job::{Background, Job};
use crate::domain::page::{Rules, Traded};
use crate::domain::slice::{Slice, SliceKey, SliceStatus};
use crate::domain::tally::Tally;
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::domain::venue::TapeRate;
use crate::driver::Verdict;
use crate::exit::Exit;
use crate::failure::{Failure, Kind};
use crate::ingest::{self, Asker, Ended, Outcome, Source, Stop};
use crate::kalshi::VENUE;
use crate::progress::SliceBar;
use crate::report;
use crate::store::{ExchangeKey, RunId, Store};
use crate::words;

/// How often what the cutoff has passed over is looked after before the rest is left to another run.
const ROUNDS_MAX: u32 = 5;

/// Fills the window, or says what it would read.
pub(super) fn backfill(
    plan: BackfillPlan,
    database: &Database,
    outside: &Outside,
    stop: &StopFlag,
) -> anyhow::Result<Exit> {
    if plan.dry_run {
        dry_run(plan, database.open_if_made()?, outside, stop)
    } else {
        Ok(fill(plan, database.open()?.as_mut(), outside, stop)?)
    }
}

fn fill(
    plan: BackfillPlan,
    store: &mut dyn Store,
    outside: &Outside,
    stop: &StopFlag,
) -> Result<Exit, Failure> {
    let lock = store.try_lock(&format!("backfill-{}", plan.want.selection.shard().file_name()))?;
    if lock.is_none() {
        log::warn!("another backfill is at work; this one leaves it to that");
        return Ok(Exit::Incomplete);
    }
    let mut session = Session::begin("backfill", "backfill", store, outside, stop)?;
    let span = plan.deadline.unwrap_or(LONG);
    let key = ExchangeKey {
        shard: plan.want.selection.shard().to_string(),
        host: plan.exchange.access.endpoint.host(),
    };
    let asker = session.asker(plan.exchange, span, plan.want.selection.shard(), store);
    let mut filler = Filler {
        key,
        want: plan.want,
        asker,
        run: session.run(),
        workers: plan.workers,
        tally: Tally::default(),
        verdict: Verdict::default(),
        markets: 0,
        set_back: HashSet::new(),
    };
    let budget = filler.asker.budget().clone();
    if let Err(failure) = session.with_reconnect(store, &budget, |store| filler.fill(store, stop)) {
        say(filler.verdict.broken_off(&failure));
    }
    if let Some(Stop::ComeBackLater(at)) = filler.asker.stopped() {
        say(filler.verdict.incomplete(&words::come_back_line(at)));
    }
    let Filler { asker, tally, verdict, markets, .. } = filler;
    Ok(session.end(Done { markets, tally, verdict }, Some(&asker), store))
}

/// A backfill at work.
struct Filler {
    key: ExchangeKey,
    want: Want,
    asker: Arc<Asker>,
    run: RunId,
    workers: usize,
    tally: Tally,
    verdict: Verdict,
    markets: usize,
    /// With --force: what was set back to be read again.
    set_back: HashSet<SliceKey>,
}

/// The slices that are wanted, under the names that they have in the ledger.
struct Wanted {
    slices: Vec<SliceKey>,
    /// All scopes that can have been read before: each market, and those that cover it.
    scopes: Vec<Scope>,
    covers: Vec<Scope>,
    /// The tape read for these markets only, and whose rows are kept then. An archived gap of
    /// such a slice may be left from a run that chose so, whatever this one chooses.
    group: Option<(Scope, Arc<HashSet<Ticker>>)>,
    /// Whether finished slices are read again: they were set back before.
    force: bool,
}

impl Wanted {
    fn new(want: &Want, lifespans: &[Lifespan], span: FillWindow, rate: TapeRate) -> Wanted {
        let force = want.force;
        if want.selection.is_all() {
            let slices = backfill::tape_slices(&Scope::Tape, span);
            let (scopes, covers) = (vec![Scope::Tape], vec![Scope::Tape]);
            return Wanted { slices, scopes, covers, group: None, force };
        }
        let markets: Vec<Ticker> =
            lifespans.iter().map(|lifespan| lifespan.market.clone()).collect();
        let group = GroupId::of(&markets);
        let scheme = backfill::scheme(lifespans, span, rate, group.clone());
        let group = Scope::Group(group);
        let covers = vec![group.clone(), Scope::Tape];
        let own = markets.iter().cloned().map(Scope::Market);
        let scopes: Vec<Scope> = own.chain(covers.iter().cloned()).collect();
        let slices = match scheme {
            Scheme::Markets => lifespans
                .iter()
                .flat_map(|lifespan| backfill::market_slices(lifespan, span))
                .collect(),
            Scheme::Tape(group) => backfill::tape_slices(&Scope::Group(group), span),
        };
        let group = Some((group, Arc::new(markets.into_iter().collect())));
        Wanted { slices, scopes, covers, group, force }
    }

    /// Whose rows of a slice are kept; `None`: all of them.
    fn keep(&self, slice: &Slice) -> Option<Arc<HashSet<Ticker>>> {
        let (_, markets) = self.group.as_ref().filter(|(group, _)| group == slice.key.scope())?;
        Some(Arc::clone(markets))
    }

    /// What is left of them, from the ledger as it is now.
    fn left(&self, store: &mut dyn Store, span: FillWindow) -> Result<Vec<Slice>, Failure> {
        let mut ledger = store.slices(&self.scopes, span.from, span.until)?;
        if self.force {
            // What other windows left finished is to be read again as well.
            let own: HashSet<&SliceKey> = self.slices.iter().collect();
            let is_finished = |slice: &Slice| slice.status == SliceStatus::Complete;
            ledger.retain(|slice| own.contains(&slice.key) || !is_finished(slice));
        }
        Ok(backfill::left(self.slices.clone(), &ledger, &self.covers))
    }
}

/// What came of the slices that are not complete all the same.
#[derive(Default)]
struct ReadSoFar {
    /// Those that were shown empty, and nobody else has said that they are.
    doubted: HashSet<SliceKey>,
    /// Those of which all is stored that is shown: they are not settled, and wait for another run.
    waiting: HashSet<SliceKey>,
}

impl ReadSoFar {
    /// Whether reading a slice (again) can complete it.
    fn is_wanted(&self, key: &SliceKey, vouched: &HashSet<SliceKey>) -> bool {
        !self.waiting.contains(key) && (!self.doubted.contains(key) || vouched.contains(key))
    }

    /// Takes over how reading them ended.
    fn take(&mut self, outcome: &Outcome, is_unsettled: impl Fn(&SliceKey) -> bool) {
        for done in &outcome.done {
            let Some(key) = &done.slice else { continue };
            match done.ended {
                Ended::Unproven => drop(self.doubted.insert(key.clone())),
                Ended::Level if is_unsettled(key) => {
                    self.doubted.remove(key);
                    self.waiting.insert(key.clone());
                }
                _ => {}
            }
        }
    }
}

impl Filler {
    fn now(&self) -> Timestamp {
        self.asker.budget().clock().now()
    }

    fn fill(&mut self, store: &mut dyn Store, stop: &StopFlag) -> Result<(), Failure> {
        self.verdict.begin_again();
        let Some(span) = self.span(store)? else { return Ok(()) };
        let mut witnesses = Witnesses::new(self.asker.exchange_now());
        let found =
            ingest::lifespans(&self.want.selection, store, &self.asker, around(span), self.run)?;
        for failure in &found.troubles {
            say(self.verdict.failure(failure));
        }
        if let Some(reason) = &found.first_unreadable {
            say(self.verdict.unreadable_market(reason));
        }
        self.markets = found.lifespans.len();
        let tape = VENUE.tape(store.tape_rate()?);
        let wanted = Wanted::new(&self.want, &found.lifespans, span, tape);
        if self.want.force {
            self.set_back(store, &wanted)?;
        }
        let read = self.rounds(store, &wanted, &found.lifespans, span, &mut witnesses, stop)?;
        let mut left = wanted.left(store, span)?;
        left.retain(|slice| !read.waiting.contains(&slice.key));
        let doubted = left.iter().filter(|slice| read.doubted.contains(&slice.key)).count();
        self.judge(&left, doubted, found.is_whole, stop);
        if !read.waiting.is_empty() {
            log::info!(
                "what the exchange shows after {} is stored; the next backfill reads that again, since trades may \
                 still join it",
                words::second(span.settled_until)
            );
        }
        Ok(())
    }

    /// Reads what is left until nothing is, or until nobody can say more of it.
    fn rounds(
        &mut self,
        store: &mut dyn Store,
        wanted: &Wanted,
        lifespans: &[Lifespan],
        span: FillWindow,
        witnesses: &mut Witnesses,
        stop: &StopFlag,
    ) -> Result<ReadSoFar, Failure> {
        let mut read = ReadSoFar::default();
        for _ in 0..ROUNDS_MAX {
            self.confirm(store, wanted, span)?;
            let left = wanted.left(store, span)?;
            if left.is_empty() || self.asker.stopped().is_some() {
                break;
            }
            let vouched = witnesses.vouched(&left, lifespans, &read.doubted, &self.asker, store)?;
            let ready: Vec<Slice> =
                left.into_iter().filter(|slice| read.is_wanted(&slice.key, &vouched)).collect();
            if ready.is_empty() {
                break;
            }
            let settled_until = Some(span.settled_until);
            let background =
                Background { traded: traded(lifespans), vouched, settled_until, newest: None };
            self.read(store, wanted, ready, background, &mut read, stop)?;
        }
        Ok(read)
    }

    /// Whether the exchange wants no more requests for now.
    fn is_left_alone(&self) -> bool {
        matches!(self.asker.stopped(), Some(Stop::ComeBackLater(_)))
    }

    /// Has finished slices read again: each once, however often the database breaks off meanwhile.
    fn set_back(&mut self, store: &mut dyn Store, wanted: &Wanted) -> Result<(), Failure> {
        let keys = wanted.slices.iter().filter(|key| !self.set_back.contains(*key));
        let fresh: Vec<Slice> = keys.cloned().map(Slice::new).collect();
        store.add_slices(&fresh, true, self.now())?;
        self.set_back.extend(fresh.into_iter().map(|slice| slice.key));
        Ok(())
    }

    /// Where the archive ends, and when the exchange said so; what went wrong is told.
    fn look_at_cutoff(&mut self) -> Option<(Timestamp, Timestamp)> {
        let mut jitter = self.asker.jitter();
        let asked = self.asker.ask(&mut jitter, |client, left, clock| client.cutoff(left, clock));
        match asked {
            Ok(Some((cutoff, as_of))) if cutoff <= as_of => Some((cutoff, as_of)),
            Ok(Some((cutoff, _))) => {
                let message = format!("the exchange's archive ends in the future, at {cutoff}");
                say(self.verdict.failure(&Failure::new(Kind::ExchangeUnreadable, message)));
                None
            }
            Ok(None) => None,
            Err(failure) => {
                say(self.verdict.failure(&failure));
                None
            }
        }
    }

    /// The window as it can be filled: up to what has settled.
    ///
    /// Where the archive ends is asked twice, and the earlier answer counts: what is taken for
    /// live and is not is noticed afterwards, but what is taken for archived is not looked at
    /// again.
    fn span(&mut self, store: &mut dyn Store) -> Result<Option<FillWindow>, Failure> {
        let first = self.look_at_cutoff();
        let second = first.and_then(|_| self.look_at_cutoff());
        let Some(((first, _), (second, _))) = first.zip(second) else {
            if !self.is_left_alone() {
                say(self.verdict.incomplete("where the archive ends is not known"));
            }
            return Ok(None);
        };
        let settled = self.asker.exchange_now().before(SETTLE).floor();
        let is_young = settled < self.want.until;
        if is_young {
            say(self.verdict.incomplete(YOUNG));
        }
        let (from, until) = (self.want.from, self.want.until.min(settled).max(self.want.from));
        let cutoff = first.min(second);
        // The archive is not held against what the live tier shows.
        let shown = if until <= cutoff {
            Shown::above(until)
        } else {
            shown_until((self.want.from, until), &self.key, &self.asker, store, &mut self.verdict)?
        };
        // What lies between is a moment, and the window is to be looked at again anyway.
        let is_trimmed = is_young && shown.has_newer;
        let until = if is_trimmed { shown.settled_until.max(from) } else { until };
        Ok(Some(FillWindow { from, until, cutoff, settled_until: shown.settled_until }))
    }

    /// Slices read from the live tier are complete once it is known that the cutoff has not passed over them;
    /// what it has passed over is to be read from the archive.
    ///
    /// The look comes after the ledger: somebody else may be at work on the same slices, and what
    /// was read after a look is not confirmed by it.
    fn confirm(
        &mut self,
        store: &mut dyn Store,
        wanted: &Wanted,
        span: FillWindow,
    ) -> Result<(), Failure> {
        let ledger = store.slices(&wanted.scopes, span.from, span.until)?;
        if !ledger.iter().any(|slice| slice.status == SliceStatus::Read) {
            return Ok(());
        }
        let read_until = self.asker.exchange_now();
        let look = self.look_at_cutoff();
        // An answer from a cache that is older than the reading proves nothing about it.
        let look = look.filter(|(_, as_of)| as_of.after(DATE_SLACK) >= read_until);
        let Some((cutoff, _)) = look else { return Ok(()) };
        let (complete, archived_gaps) = backfill::confirm(&ledger, cutoff);
        for archived_gap in &archived_gaps {
            log::info!(
                "the archive has grown over {} of {}; reading that again",
                report::window(archived_gap.key.from(), archived_gap.key.until()),
                archived_gap.key.scope()
            );
        }
        store.complete_slices(&complete, &archived_gaps, self.now())
    }

    /// Reads what is left, oldest first.
    fn read(
        &mut self,
        store: &mut dyn Store,
        wanted: &Wanted,
        left: Vec<Slice>,
        background: Background,
        read: &mut ReadSoFar,
        stop: &StopFlag,
    ) -> Result<(), Failure> {
        let unsettled: HashSet<SliceKey> = left
            .iter()
            .map(|slice| slice.key.clone())
            .filter(|key| background.is_unsettled(key))
            .collect();
        // What cannot be finished now leaves no row behind that the next run's slices would not meet.
        let is_kept = |slice: &&Slice| !unsettled.contains(&slice.key);
        let kept: Vec<Slice> = left.iter().filter(is_kept).cloned().collect();
        store.add_slices(&kept, false, self.now())?;
        let jobs: Vec<Job> = left
            .iter()
            .filter(|slice| slice.status == SliceStatus::Open)
            .map(|slice| Job::Slice { slice: slice.clone(), keep: wanted.keep(slice) })
            .collect();
        let source = Arc::new(Source::new(Arc::clone(&self.asker), Rules::EXACT, background));
        let bar = SliceBar::start(jobs.len());
        let ledger = Committed::of_slices(left);
        let workers = self.workers;
        let mut outcome = ingest::read_all(
            store,
            self.run,
            ledger,
            jobs,
            &source,
            workers,
            &mut |pass_progress| {
                bar.show(pass_progress);
            },
        );
        drop(bar);
        self.tally.merge(&outcome.tally);
        if let Some(failure) = outcome.broken_off() {
            say(self.verdict.judge_rejected(&outcome));
            return Err(failure);
        }
        say(self.verdict.judge_walks(&outcome, stop.signal()));
        read.take(&outcome, |key| unsettled.contains(key));
        Ok(())
    }

    fn judge(&mut self, left: &[Slice], doubts: usize, is_whole: bool, stop: &StopFlag) {
        if stop.signal().is_some() || self.is_left_alone() {
            return;
        }
        if !left.is_empty() {
            let mut message = format!("{} slices are left; run it again to go on", left.len());
            if doubts > 0 {
                let doubt = "; the exchange shows no trade in {} of them, and no other figure of its says so";
                message += &doubt.replace("{}", &doubts.to_string());
            }
            say(self.verdict.incomplete(&message));
        } else if !is_whole {
            say(self.verdict.incomplete("the exchange has not named all markets; run it again"));
        }
    }
}

/// Which markets have traded, and how much, as their descriptions said: a list that shows as much is whole.
fn traded(lifespans: &[Lifespan]) -> HashMap<Ticker, Traded> {
    let said = |lifespan: &Lifespan| {
        let quantity_e2 = lifespan.volume_e2.filter(|volume| *volume > 0)?;
        Some(Traded::Ever { quantity_e2, as_of: lifespan.seen_at? })
    };
    lifespans
        .iter()
        .filter_map(|lifespan| Some((lifespan.market.clone(), said(lifespan)?)))
        .collect()
}

/// A description is of the instant at which it was asked for, told in whole seconds and across a network.
const DATE_SLACK: Duration = Duration::from_secs(2);
const YOUNG: &str = "the end of the window has not settled yet; run it again later";

/// Says what would be done, and does nothing. `store` is missing where there is no database yet.
fn dry_run(
    plan: BackfillPlan,
    mut store: Option<Box<dyn Store>>,
    outside: &Outside,
    stop: &StopFlag,
) -> anyhow::Result<Exit> {
    let BackfillPlan { want, exchange, .. } = plan;
    let rate = exchange.rate;
    let (shard, host) = (want.selection.shard().to_string(), exchange.access.endpoint.host());
    let asker = asker(exchange, LONG, outside, stop);
    // Before anybody is asked: what cannot be read is said first.
    if let Some(store_there) = store.as_deref_mut()
        && !ask(store_there, outside.clock.as_ref(), has_schema)?
    {
        store = None;
    }
    if let Some(store) = store.as_deref_mut() {
        heed(&asker, &ExchangeKey { shard, host }, store);
    }
    let mut jitter = asker.jitter();
    let Some((cutoff, _)) =
        asker.ask(&mut jitter, |client, left, clock| client.cutoff(left, clock))?
    else {
        return Ok(Exit::Incomplete);
    };
    let span = FillWindow { from: want.from, until: want.until, cutoff, settled_until: want.until };
    let named = want.selection.without_all();
    let lifespans = ingest::list_without_storing(&named, &asker, around(span))?;
    if asker.stopped().is_some() {
        return Ok(Exit::Incomplete);
    }
    let wanted = Wanted::new(&want, &lifespans, span, VENUE.tape(None));
    let left = match store.as_deref_mut() {
        Some(store) if !want.force => {
            ask(store, outside.clock.as_ref(), |store| Ok(wanted.left(store, span)?))?
        }
        _ => wanted.slices.iter().cloned().map(Slice::new).collect(),
    };
    super::answer(&report::slices(&left, VENUE.tape(None), rate), outside)?;
    Ok(Exit::Ok)
}

/// Whether anything is on record; if so, it can be read.
fn has_schema(store: &mut dyn Store) -> anyhow::Result<bool> {
    let has_schema = store.has_schema()?;
    if has_schema {
        store.check_schema()?;
    }
    Ok(has_schema)
}

fn around(span: FillWindow) -> (Timestamp, Timestamp) {
    (span.from.before(backfill::LIFESPAN_MARGIN), span.until.after(backfill::LIFESPAN_MARGIN))
}
