//! The metadata of the selection's markets: what changed since the last sync where the exchange
//! lists that, everything where it does not; page by page into the store.

mod empty;

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use super::absence;
use super::asker::Asker;
use super::belongs;
use super::list::{self, Listing};
use super::resolve::unknown;
use crate::domain::lifecycle;
use crate::domain::market::{Absence, Known, Scope, Sighting, WatchChange, WatchRecord};
use crate::domain::membership;
use crate::domain::selection::{Selection, Shard, Target, Watch};
use crate::domain::time::Timestamp;
use crate::domain::trade::Ticker;
use crate::failure::{Failure, one_line};
use crate::kalshi::{MARKETS_PER_REQUEST, MarketList};
use crate::retry::{Jitter, Policy};
use crate::store::Store;

/// Answers are cached for five seconds, and whole seconds are asked for: a change is met twice
/// rather than never.
const UPDATED_OVERLAP: Duration = Duration::from_secs(60);

/// Markets leave the live tier some sixty days after they settled, and its list of changes with it.
const RELIST_AFTER: Duration = Duration::from_secs(30 * 86_400);

/// The statuses that all markets of the exchange are listed by. Those settled are left out: there are
/// many times as many, and one that settles is met as a change of a known one.
const UNSETTLED: [&str; 4] = ["unopened", "open", "paused", "closed"];

/// An entry without markets is looked at so often: all of its lists are read each time.
const EMPTY_AGAIN: Duration = Duration::from_secs(3_600);
/// Known markets that are asked for alone in one sync before they are given up.
const ALONE_MAX: usize = 5;

/// The record of all markets that were named one by one.
const NAMED: &str = "named";

/// The record that a sync keeps of an entry: one for each shard, since each stores its own markets.
fn record_name(selection: &Selection, target: &Target) -> String {
    let name = match target {
        Target::Market(_) => NAMED.to_owned(),
        Target::Event(_) | Target::Series(_) | Target::All => target.name(),
    };
    match selection.shard() {
        Shard::WHOLE => name,
        shard => format!("{name} {shard}"),
    }
}

fn record_names(selection: &Selection, refused: &HashSet<String>) -> Vec<String> {
    let name = |watch: &Watch| record_name(selection, &watch.target);
    let is_taken = |watch: &&Watch| !refused.contains(&watch.target.name());
    let names: BTreeSet<String> = selection.watches().iter().filter(is_taken).map(name).collect();
    names.into_iter().collect()
}

/// What a sync came to.
#[derive(Debug, Default)]
pub struct Synced {
    /// Entries of the selection for which it was time; all markets named one by one are one.
    pub entries: usize,
    /// Descriptions of markets that were read.
    pub markets: u64,
    /// Markets that changed their status, or were seen for the first time.
    pub status_changes: u64,
    /// Whether all of the selection was covered.
    pub is_whole: bool,
    /// What went wrong, by who has to act.
    pub troubles: Vec<Failure>,
}

/// Brings the metadata of the selection's markets up to date: of the entries last synced at least
/// `age_min` ago. Entries that fail do not stop the others; only a failure of the store ends it.
pub fn sync(
    selection: &Selection,
    store: &mut dyn Store,
    asker: &Asker,
    age_min: Duration,
) -> Result<Synced, Failure> {
    let now = asker.budget().clock().now();
    let is_by_hand = age_min.is_zero();
    let names: Vec<String> = selection.watches().iter().map(|watch| watch.target.name()).collect();
    let mut refused: HashSet<String> =
        store.refusals(&names)?.into_iter().map(|refusal| refusal.name).collect();
    if is_by_hand {
        // Who asks by hand wants to know now.
        refused.clear();
    }
    let records = store.watches(&record_names(selection, &refused), now)?;
    let jitter = Jitter::from_entropy();
    let is_due = |record: &WatchRecord| {
        // Synced without a mark: there was nothing.
        let is_empty = record.synced_until.is_none() && !is_by_hand;
        let wait = if is_empty { age_min.max(EMPTY_AGAIN) } else { age_min };
        record.synced_at.is_none_or(|at| now.since(at) >= wait)
    };
    let due: Vec<&WatchRecord> = records.iter().filter(|record| is_due(record)).collect();
    let synced = Synced { entries: due.len(), is_whole: true, ..Synced::default() };
    let (refused_now, known_now) = (Vec::new(), Vec::new());
    let seen = HashSet::new();
    let mut work = Syncer {
        selection,
        store,
        asker,
        jitter,
        synced,
        seen,
        is_by_hand,
        refused,
        refused_now,
        known_now,
    };
    let mut are_named_due = false;
    for watch in selection.watches() {
        let name = record_name(selection, &watch.target);
        let Some(record) = due.iter().find(|record| record.watch == name) else { continue };
        match watch.target {
            Target::Market(_) => are_named_due = true,
            Target::Event(_) | Target::Series(_) | Target::All => {
                if !work.refused.contains(&watch.target.name()) {
                    work.entry(&watch.target, record)?;
                }
            }
        }
        if asker.budget().is_over() || asker.is_forbidden() {
            break;
        }
    }
    if are_named_due {
        work.named()?;
    }
    if work.synced.entries > 0 {
        work.series_of_events()?;
    }
    work.save_names(now)?;
    work.synced.is_whole &= !asker.budget().is_over();
    Ok(work.synced)
}

/// A sync at work.
struct Syncer<'a> {
    selection: &'a Selection,
    store: &'a mut dyn Store,
    asker: &'a Asker,
    jitter: Jitter,
    synced: Synced,
    /// Markets just read: they need not be asked for by name.
    seen: HashSet<Ticker>,
    /// Whether somebody waits for all of it.
    is_by_hand: bool,
    /// Names that the exchange refused not long ago: they are not asked for.
    refused: HashSet<String>,
    /// Names that it refused now.
    refused_now: Vec<String>,
    /// Names that it knows.
    known_now: Vec<String>,
}

/// What one list showed.
struct Read {
    rows: usize,
    answered_at: Option<Timestamp>,
}

impl Syncer<'_> {
    /// Markets open and close by the exchange's clock.
    fn now(&self) -> Timestamp {
        self.asker.exchange_now()
    }

    /// One entry that stands for many markets: its lists, then what happened silently.
    fn entry(&mut self, target: &Target, record: &WatchRecord) -> Result<(), Failure> {
        // What settled and was archived since a mark so old is on no list of changes.
        let now = self.now().min(self.asker.budget().clock().now());
        let is_recent = |at: &Timestamp| now.since(*at) < RELIST_AFTER;
        let mark = record.synced_until.filter(is_recent);
        let (mut rows, mut answered_at, mut empty) = (0, None, Vec::new());
        for list in lists(target, mark) {
            let Some(read) = self.list(&list)? else {
                self.synced.is_whole = false;
                return Ok(());
            };
            answered_at = answered_at.or(read.answered_at);
            rows += read.rows;
            if read.rows == 0 {
                empty.push(list);
            }
        }
        if !empty.is_empty() && !self.agree(target, record, mark, &empty, rows)? {
            return Ok(());
        }
        self.known_now.push(target.name());
        if !self.look_after_lists(target)? {
            return Ok(());
        }
        let ours = self.asker.budget().clock().now();
        // A list of nothing proves nothing: the mark stays where it was.
        let evidence = answered_at.filter(|_| rows > 0).map(|at| membership::evidence(at, ours));
        let change = WatchChange {
            watch: record.watch.clone(),
            synced: Some((ours, evidence)),
            known_at: Some(ours),
            ..WatchChange::default()
        };
        self.store.save_watches(&[change])
    }

    /// Asks by name for what may have happened silently; whether all of it was answered for.
    fn look_after_lists(&mut self, target: &Target) -> Result<bool, Failure> {
        let scope = match target {
            Target::Event(event) => Scope::Event(event.as_str()),
            Target::Series(series) => Scope::Series(series.as_str()),
            Target::Market(_) | Target::All => Scope::All,
        };
        let now = self.now();
        let unsettled = self.store.unsettled_markets(scope)?;
        let is_due = |known: &Known| {
            self.selection.shard().holds(&known.ticker)
                && !self.seen.contains(&known.ticker)
                && lifecycle::is_due_after_list(known, now)
        };
        let due: Vec<Known> = unsettled.into_iter().filter(is_due).collect();
        self.look(&due)
    }

    /// Reads a list, each page into the store; `None` unless it came to its end.
    fn list(&mut self, list: &MarketList) -> Result<Option<Read>, Failure> {
        let mut read = Read { rows: 0, answered_at: None };
        let (asker, mut jitter) = (self.asker, self.jitter.clone());
        let attempts_max = Policy::default().attempts_max;
        let listing = list::each_page(asker, &mut jitter, attempts_max, list, &mut |mut page| {
            read.answered_at.get_or_insert(page.exchange_now);
            if let Some(series) = &list.series {
                let mut jitter = self.jitter.clone();
                let store: Option<&mut dyn Store> = Some(&mut *self.store);
                belongs::hold(asker, &mut jitter, attempts_max, store, series, &mut page)?;
            }
            read.rows += page.tickers.len();
            self.save(page.markets, &[])
        });
        self.jitter = jitter;
        match listing {
            Err(failure) if failure.kind.is_of_store() => Err(failure),
            Err(failure) => {
                self.synced.troubles.push(failure);
                Ok(None)
            }
            Ok(listing) => Ok((listing == Listing::Whole).then_some(read)),
        }
    }

    fn save_names(&mut self, now: Timestamp) -> Result<(), Failure> {
        if self.refused_now.is_empty() && (self.known_now.is_empty() || !self.is_by_hand) {
            return Ok(());
        }
        self.store.save_refusals(&self.refused_now, &self.known_now, now)
    }

    fn refuse(&mut self, target: &Target) {
        self.refused_now.push(target.name());
        self.synced.troubles.push(unknown(target));
    }

    fn save(&mut self, mut seen: Vec<Sighting>, absent: &[Absence]) -> Result<(), Failure> {
        let shard = self.selection.shard();
        seen.retain(|sighting| shard.holds(&sighting.market.ticker));
        // A list that changes while it is read can show a market twice.
        let mut once = HashSet::new();
        seen.retain(|sighting| once.insert(sighting.market.ticker.clone()));
        self.synced.markets += u64::try_from(seen.len()).unwrap_or(u64::MAX);
        self.seen.extend(once);
        let now = self.now();
        self.synced.status_changes += self.store.save_markets(&seen, absent, now)?;
        Ok(())
    }

    /// The markets that were named one by one.
    fn named(&mut self) -> Result<(), Failure> {
        let roster = self.selection.named();
        let mut tickers = roster.tickers();
        let is_refused =
            |ticker: &Ticker| self.refused.contains(&Target::Market(ticker.clone()).name());
        tickers.retain(|ticker| !ticker.is_tape() && !is_refused(ticker));
        if tickers.is_empty() {
            return Ok(());
        }
        let known = self.store.known_markets(&tickers)?;
        let fresh = |ticker: &Ticker| known.iter().all(|known| known.ticker != *ticker);
        let never_seen: HashSet<Ticker> = tickers.iter().filter(|t| fresh(t)).cloned().collect();
        let mut is_whole = true;
        for batch in tickers.chunks(MARKETS_PER_REQUEST) {
            // A batch that is refused must not starve those after it.
            let Some(missing) = self.ask_by_name(batch)? else {
                is_whole = false;
                continue;
            };
            let found = batch.iter().filter(|ticker| !missing.contains(ticker));
            self.known_now.extend(found.map(|ticker| Target::Market(ticker.clone()).name()));
            let (strange, missing): (Vec<_>, Vec<_>) =
                missing.into_iter().partition(|ticker| never_seen.contains(ticker));
            for ticker in strange {
                is_whole &= self.find_alone(ticker)?;
            }
            self.miss(missing.into_iter(), &known)?;
        }
        if !is_whole {
            return Ok(());
        }
        let synced = Some((self.asker.budget().clock().now(), Some(self.now())));
        let watch = record_name(self.selection, &Target::Market(tickers[0].clone()));
        self.store.save_watches(&[WatchChange { watch, synced, ..WatchChange::default() }])
    }

    /// A market that no list names is asked for alone before it is called unknown; whether anybody
    /// could say.
    fn find_alone(&mut self, ticker: Ticker) -> Result<bool, Failure> {
        let attempts_max = Policy::default().attempts_max;
        match absence::alone(self.asker, &mut self.jitter, attempts_max, &ticker) {
            Ok(Some(page)) if page.tickers.is_empty() && page.first_unreadable.is_none() => {
                let target = Target::Market(ticker);
                if !self.store.is_on_record(&target)? {
                    self.refuse(&target);
                }
                Ok(true)
            }
            Ok(Some(page)) => {
                self.save(page.markets, &[])?;
                Ok(true)
            }
            Ok(None) => {
                self.synced.is_whole = false;
                Ok(false)
            }
            Err(failure) => {
                self.synced.is_whole = false;
                self.synced.troubles.push(failure);
                Ok(false)
            }
        }
    }

    /// Asks for known markets by name; whether all were answered for.
    fn look(&mut self, due: &[Known]) -> Result<bool, Failure> {
        for batch in due.chunks(MARKETS_PER_REQUEST) {
            let tickers: Vec<Ticker> = batch.iter().map(|known| known.ticker.clone()).collect();
            let Some(missing) = self.ask_by_name(&tickers)? else { return Ok(false) };
            self.miss(missing.into_iter(), batch)?;
        }
        Ok(true)
    }

    /// One request by name, answers into the store; those that nobody knows, or `None` when it
    /// was not answered.
    fn ask_by_name(&mut self, tickers: &[Ticker]) -> Result<Option<Vec<Ticker>>, Failure> {
        let attempts_max = Policy::default().attempts_max;
        match list::by_name(self.asker, &mut self.jitter, attempts_max, tickers) {
            Ok(Some(answer)) => {
                for page in answer.pages {
                    self.save(page.markets, &[])?;
                }
                Ok(Some(answer.missing))
            }
            Ok(None) => {
                self.synced.is_whole = false;
                Ok(None)
            }
            Err(failure) => {
                self.synced.is_whole = false;
                self.synced.troubles.push(failure);
                Ok(None)
            }
        }
    }

    fn miss(
        &mut self,
        missing: impl Iterator<Item = Ticker>,
        known: &[Known],
    ) -> Result<(), Failure> {
        let now = self.now();
        let mut alone_left = ALONE_MAX;
        let mut absent = Vec::new();
        for ticker in missing {
            let Some(known) = known.iter().find(|known| known.ticker == ticker) else { continue };
            let mut is_believed = lifecycle::is_gone(known, now) && !known.status.is_over();
            if is_believed && alone_left > 0 {
                alone_left -= 1;
                let asked = absence::alone(self.asker, &mut self.jitter, 1, &ticker);
                match asked {
                    Ok(Some(page)) if page.tickers.is_empty() => {}
                    Ok(Some(page)) => {
                        self.save(page.markets, &[])?;
                        continue;
                    }
                    Ok(None) | Err(_) => is_believed = false,
                }
            } else {
                is_believed = false;
            }
            absent.push(Absence { ticker, is_believed });
        }
        if absent.is_empty() { Ok(()) } else { self.save(Vec::new(), &absent) }
    }

    /// Markets do not name their series: their events do.
    fn series_of_events(&mut self) -> Result<(), Failure> {
        let events = self.store.events_without_series()?;
        let events: Vec<Ticker> = events.iter().filter_map(|event| Ticker::new(event)).collect();
        let (combos, plain): (Vec<_>, Vec<_>) =
            events.into_iter().partition(|event| Target::Event(event.clone()).is_combo());
        for (events, are_combos) in [(plain, false), (combos, true)] {
            for batch in events.chunks(MARKETS_PER_REQUEST) {
                let asked = self.asker.ask(&mut self.jitter, |client, left, clock| {
                    client.events(batch, are_combos, left, clock)
                });
                match asked {
                    Ok(Some(found)) => {
                        let now = self.now();
                        self.store.save_events(&found, now)?;
                    }
                    Ok(None) => return Ok(()),
                    Err(failure) => {
                        // Everything but the series is stored; the next sync asks again.
                        log::warn!("{}; some series stay unknown", one_line(&failure));
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }
}

/// Which lists bring an entry up to date. The exchange lists changes of everything, or of a
/// series, and not of combos; an event is small enough to be read whole.
pub(super) fn lists(target: &Target, synced_until: Option<Timestamp>) -> Vec<MarketList> {
    let with_combos = target.is_combo();
    let all = MarketList { with_combos, ..MarketList::ALL };
    let after = synced_until.map(|until| until.before(UPDATED_OVERLAP).second());
    match (target, after) {
        (Target::Market(_), _) => Vec::new(),
        (Target::All, Some(_)) => vec![MarketList { updated_after: after, ..all }],
        (Target::All, None) => {
            UNSETTLED.map(|status| MarketList { status: Some(status), ..all.clone() }).into()
        }
        (Target::Series(series), Some(_)) if !with_combos => {
            vec![MarketList { series: Some(series.clone()), updated_after: after, ..all }]
        }
        (Target::Series(series), Some(_)) => {
            vec![MarketList { series: Some(series.clone()), ..all }]
        }
        (Target::Series(series), None) => {
            let live = MarketList { series: Some(series.clone()), ..all };
            vec![live.clone(), live.archived()]
        }
        (Target::Event(event), Some(_)) => vec![MarketList { event: Some(event.clone()), ..all }],
        (Target::Event(event), None) => {
            let live = MarketList { event: Some(event.clone()), ..all };
            vec![live.clone(), live.archived()]
        }
    }
}
