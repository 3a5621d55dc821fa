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

/// Rounds in one run, since the archive cutoff may pass over slices meanwhile. Another run reads the rest.
const ROUNDS_MAX: u32 = 5;

/// Fills the window, or says which slices it would read.
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

/// A backfill in progress.
struct Filler {
    key: ExchangeKey,
    want: Want,
    asker: Arc<Asker>,
    run: RunId,
    workers: usize,
    tally: Tally,
    verdict: Verdict,
    markets: usize,
    /// With `--force`: the slices that were set back to be read again.
    set_back: HashSet<SliceKey>,
}

/// The wanted slices, under their names in the ledger.
struct Wanted {
    slices: Vec<SliceKey>,
    /// All scopes under which the markets may have been read before: each market, and the scopes that cover it.
    scopes: Vec<Scope>,
    covers: Vec<Scope>,
    /// The tape read for a group of markets, and the markets whose rows are kept then. An archived gap of such a slice
    /// may be left from a run that read the group, whatever this run chooses.
    group: Option<(Scope, Arc<HashSet<Ticker>>)>,
    /// Whether finished slices are read again: such slices were set back before.
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

    /// The markets whose rows of a slice are kept; `None` for all markets.
    fn keep(&self, slice: &Slice) -> Option<Arc<HashSet<Ticker>>> {
        let (_, markets) = self.group.as_ref().filter(|(group, _)| group == slice.key.scope())?;
        Some(Arc::clone(markets))
    }

    /// The part of the wanted slices that is left, by the present ledger.
    fn left(&self, store: &mut dyn Store, span: FillWindow) -> Result<Vec<Slice>, Failure> {
        let mut ledger = store.slices(&self.scopes, span.from, span.until)?;
        if self.force {
            // Slices that other windows finished are read again as well.
            let own: HashSet<&SliceKey> = self.slices.iter().collect();
            let is_finished = |slice: &Slice| slice.status == SliceStatus::Complete;
            ledger.retain(|slice| own.contains(&slice.key) || !is_finished(slice));
        }
        Ok(backfill::left(self.slices.clone(), &ledger, &self.covers))
    }
}

/// The slices that were read and are still not complete.
#[derive(Default)]
struct ReadSoFar {
    /// Slices that were shown empty, and no other figure agrees.
    doubted: HashSet<SliceKey>,
    /// Slices whose shown trades are all stored but that have not settled; they wait for another run.
    waiting: HashSet<SliceKey>,
}

impl ReadSoFar {
    /// Whether another reading of a slice can complete it.
    fn is_wanted(&self, key: &SliceKey, vouched: &HashSet<SliceKey>) -> bool {
        !self.waiting.contains(key) && (!self.doubted.contains(key) || vouched.contains(key))
    }

    /// Takes over how the readings of slices ended.
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

    /// Reads the slices that are left until none is left, or until more reading proves nothing.
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

    /// Whether the exchange accepts no more requests for now.
    fn is_left_alone(&self) -> bool {
        matches!(self.asker.stopped(), Some(Stop::ComeBackLater(_)))
    }

    /// Marks finished slices to be read again: each once, also when the database connection breaks meanwhile.
    fn set_back(&mut self, store: &mut dyn Store, wanted: &Wanted) -> Result<(), Failure> {
        let keys = wanted.slices.iter().filter(|key| !self.set_back.contains(*key));
        let fresh: Vec<Slice> = keys.cloned().map(Slice::new).collect();
        store.add_slices(&fresh, true, self.now())?;
        self.set_back.extend(fresh.into_iter().map(|slice| slice.key));
        Ok(())
    }

    /// The archive cutoff, and the time of the exchange's answer. A failure is reported, and gives `None`.
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

    /// The window as it can be filled: up to the instant that has settled.
    ///
    /// The archive cutoff is asked for twice, and the earlier of the answers counts. A slice wrongly read from the
    /// live tier is noticed later, but a slice wrongly read from the archive is not checked again.
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
        // A window in the archive is not checked against the newest trade of the live tier.
        let shown = if until <= cutoff {
            Shown::above(until)
        } else {
            shown_until((self.want.from, until), &self.key, &self.asker, store, &mut self.verdict)?
        };
        // The difference is short, and a young window has to be read again anyway.
        let is_trimmed = is_young && shown.has_newer;
        let until = if is_trimmed { shown.settled_until.max(from) } else { until };
        Ok(Some(FillWindow { from, until, cutoff, settled_until: shown.settled_until }))
    }

    /// Completes slices that were read from the live tier, once it is known that the archive cutoff has not passed
    /// over them. The part below the cutoff is read again, from the archive.
    ///
    /// The ledger is read before the cutoff is asked for: another process may work on the same slices, and a cutoff
    /// confirms no slice that was read after it.
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
        // An answer from a cache, older than the reading, proves nothing about the reading.
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

    /// Reads the slices that are left, oldest first.
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
        // A slice that cannot be finished now gets no row, because the slices of the next run would have other bounds.
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

/// The volumes of the traded markets, by their descriptions. A list that shows as much volume is complete.
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

/// The slack in comparing dates. A description is of the instant of its request, but its date has whole seconds and
/// the answer takes time on the network.
const DATE_SLACK: Duration = Duration::from_secs(2);
const YOUNG: &str = "the end of the window has not settled yet; run it again later";

/// Says what a backfill would do, and does nothing. `store` is `None` where there is no database yet.
fn dry_run(
    plan: BackfillPlan,
    mut store: Option<Box<dyn Store>>,
    outside: &Outside,
    stop: &StopFlag,
) -> anyhow::Result<Exit> {
    let BackfillPlan { want, exchange, .. } = plan;
    let (asker, mut pacing) = asker(exchange, LONG, want.selection.shard(), outside, stop);
    // A database that cannot be read is reported before the exchange is asked.
    if let Some(store_there) = store.as_deref_mut()
        && !ask(store_there, outside.clock.as_ref(), has_schema)?
    {
        store = None;
    }
    if let Some(store) = store.as_deref_mut() {
        heed(&asker, &mut pacing, store);
    }
    let rate = pacing.settle(&asker);
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

/// Whether anything is on record. An error if the record cannot be read.
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
