//! The metadata of the selection's markets: what changed since the last sync where the exchange
//! lists that, everything where it does not; page by page into the store.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use super::asker::Asker;
use super::list::{self, ByName, Listing};
use super::resolve::unknown;
use crate::domain::lifecycle;
use crate::domain::market::{
    Absence, EventRecord, FalseMark, Known, Scope, Sighting, WatchChange, WatchRecord,
};
use crate::domain::selection::{Selection, Shard, Target, Watch};
use crate::domain::sync_mark::{Heard, is_from_a_future, latest_credible_trade};
use crate::domain::time::{FIRST_TRADES, Timestamp};
use crate::domain::trade::Ticker;
use crate::failure::{Failure, one_line};
use crate::kalshi::{MARKETS_PER_REQUEST, MarketList, MarketsPage};
use crate::retry::{Jitter, Policy};
use crate::store::{RunId, Store};

/// Answers are cached for five seconds, and whole seconds are asked for: a change is met twice
/// rather than never.
const UPDATED_OVERLAP: Duration = Duration::from_secs(60);

/// Markets leave the live tier some sixty days after they settled, and its list of changes with it.
const RELIST_AFTER: Duration = Duration::from_secs(30 * 86_400);

/// The statuses that all markets of the exchange are listed by. Those settled are left out: there are
/// many times as many, and one that settles is met as a change of a known one.
const UNSETTLED: [&str; 4] = ["unopened", "open", "paused", "closed"];

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

fn record_names(selection: &Selection) -> Vec<String> {
    let name = |watch: &Watch| record_name(selection, &watch.target);
    let names: BTreeSet<String> = selection.watches().iter().map(name).collect();
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
    /// Why the description of a market could not be read, the first of them.
    pub first_unreadable: Option<String>,
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
    run: RunId,
) -> Result<Synced, Failure> {
    let now = asker.budget().clock().now();
    let records = store.watches(&record_names(selection), now)?;
    let jitter = Jitter::from_entropy();
    // Our own clock may have been ahead.
    let is_due = |record: &WatchRecord| {
        record.synced_at.is_none_or(|at| now.since(at) >= age_min || at > now)
    };
    let due: Vec<&WatchRecord> = records.iter().filter(|record| is_due(record)).collect();
    let synced = Synced { entries: due.len(), is_whole: true, ..Synced::default() };
    let seen = HashSet::new();
    let mut work = Syncer { selection, store, asker, run, jitter, synced, seen };
    let mut are_named_due = false;
    for watch in selection.watches() {
        let name = record_name(selection, &watch.target);
        let Some(record) = due.iter().find(|record| record.watch == name) else { continue };
        match watch.target {
            Target::Market(_) => are_named_due = true,
            Target::Event(_) | Target::Series(_) | Target::All => {
                work.entry(&watch.target, record)?;
            }
        }
        if asker.stopped().is_some() {
            break;
        }
    }
    if are_named_due {
        work.named()?;
    }
    if work.synced.entries > 0 {
        work.series_of_events()?;
    }
    work.synced.is_whole &= asker.stopped().is_none();
    Ok(work.synced)
}

/// What the lists of an entry came to.
#[derive(Default)]
struct Read {
    heard: Heard,
    found: bool,
    has_unreadable: bool,
}

/// A sync at work.
struct Syncer<'a> {
    selection: &'a Selection,
    store: &'a mut dyn Store,
    asker: &'a Asker,
    run: RunId,
    jitter: Jitter,
    synced: Synced,
    /// Markets just read: they need not be asked for by name.
    seen: HashSet<Ticker>,
}

impl Syncer<'_> {
    fn ours(&self) -> Timestamp {
        self.asker.budget().clock().now()
    }

    /// The mark of an entry, as far as it is believed: what changed before it was seen.
    fn mark(&mut self, record: &WatchRecord) -> Result<Option<Timestamp>, Failure> {
        let Some(claimed) = record.synced_until else { return Ok(None) };
        if is_from_a_future(claimed, self.now(), self.ours()) {
            let reason = "it lies after what the exchange and this machine show";
            let mark = FalseMark { watch: record.watch.clone(), claimed, reason };
            if self.store.lower_mark(&mark, self.run, self.ours())? {
                log::warn!(
                    "{} was synced until {claimed}: {reason}; listing it anew",
                    record.watch
                );
            }
            return Ok(None);
        }
        // What settled and was archived since so long ago is on no list of changes.
        let is_recent = record.synced_at.is_some_and(|at| self.ours().since(at) < RELIST_AFTER);
        Ok(Some(claimed).filter(|claimed| is_recent && *claimed > FIRST_TRADES))
    }

    /// Before which instant all changes are known, given what the lists' answers told.
    fn proven_until(&mut self, heard: Heard) -> Result<Option<Timestamp>, Failure> {
        let (exchange, ours) = (self.now(), self.ours());
        let newest = self.store.newest_trade(latest_credible_trade(exchange, ours))?;
        Ok(heard.until(newest, ours))
    }

    /// Says of a page what could not be read; whether anything.
    fn note_unreadable(&mut self, page: &MarketsPage) -> bool {
        if let Some(reason) = &page.first_unreadable {
            self.synced.first_unreadable.get_or_insert_with(|| reason.clone());
        }
        page.first_unreadable.is_some()
    }

    /// Markets open and close by the exchange's clock.
    fn now(&self) -> Timestamp {
        self.asker.exchange_now()
    }

    /// One entry that stands for many markets: its lists, then what happened silently.
    fn entry(&mut self, target: &Target, record: &WatchRecord) -> Result<(), Failure> {
        let mut read = Read::default();
        let mark = self.mark(record)?;
        for list in lists(target, mark) {
            if !self.list(&list, &mut read)? {
                self.synced.is_whole = false;
                return Ok(());
            }
        }
        if !read.found && record.synced_until.is_none() && !self.is_known(target) {
            self.synced.troubles.push(unknown(target));
            return Ok(());
        }
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
        if !self.look(&due)? {
            return Ok(());
        }
        let proven = match self.proven_until(read.heard)? {
            // It has to be on the next list, too.
            _ if read.has_unreadable => mark.or(Some(FIRST_TRADES)),
            proven => proven,
        };
        let synced = proven.map(|until| (self.ours(), until));
        let change = WatchChange { watch: record.watch.clone(), synced, ..WatchChange::default() };
        self.store.save_watches(&[change])
    }

    /// Reads a list, each page into the store; whether it came to its end.
    fn list(&mut self, list: &MarketList, read: &mut Read) -> Result<bool, Failure> {
        let mut store_failure = None;
        let (asker, mut jitter) = (self.asker, self.jitter.clone());
        let attempts_max = Policy::default().attempts_max;
        let listing = list::each_page(asker, &mut jitter, attempts_max, list, &mut |page| {
            read.heard.hear(page.exchange_now);
            read.found |= !page.tickers.is_empty();
            read.has_unreadable |= self.note_unreadable(&page);
            self.save(page.markets, &[]).map_err(|failure| {
                // Carried around the driver's own failures, and told apart below.
                store_failure = Some(failure);
                Failure::config("the store failed")
            })
        });
        self.jitter = jitter;
        match (store_failure, listing) {
            (Some(failure), _) => Err(failure),
            (None, Err(failure)) => {
                self.synced.troubles.push(failure);
                Ok(false)
            }
            (None, Ok(listing)) => Ok(listing == Listing::Whole),
        }
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
        let tickers: Vec<Ticker> =
            roster.tickers().into_iter().filter(|ticker| !ticker.is_tape()).collect();
        if tickers.is_empty() {
            return Ok(());
        }
        let known = self.store.known_markets(&tickers)?;
        let fresh = |ticker: &Ticker| known.iter().all(|known| known.ticker != *ticker);
        let never_seen: HashSet<Ticker> = tickers.iter().filter(|t| fresh(t)).cloned().collect();
        let (mut is_whole, mut heard) = (true, Heard::default());
        for batch in tickers.chunks(MARKETS_PER_REQUEST) {
            // A batch that is refused must not starve those after it.
            let Some(ByName { missing, unsure, .. }) = self.ask_by_name(batch, &mut heard)? else {
                is_whole = false;
                continue;
            };
            if let Some(ticker) = unsure.iter().find(|ticker| never_seen.contains(ticker)) {
                log::warn!("whether the exchange knows {ticker} is not found out yet");
                (is_whole, self.synced.is_whole) = (false, false);
            }
            for ticker in missing.iter().filter(|ticker| never_seen.contains(ticker)) {
                self.synced.troubles.push(unknown(&Target::Market(ticker.clone())));
            }
            self.miss(missing.into_iter(), &known)?;
        }
        if !is_whole {
            return Ok(());
        }
        let until = self.proven_until(heard)?.unwrap_or(self.now().min(self.ours()));
        let synced = Some((self.ours(), until));
        let watch = record_name(self.selection, &Target::Market(tickers[0].clone()));
        self.store.save_watches(&[WatchChange { watch, synced, ..WatchChange::default() }])
    }

    /// Asks for known markets by name; whether all were answered for.
    fn look(&mut self, due: &[Known]) -> Result<bool, Failure> {
        for batch in due.chunks(MARKETS_PER_REQUEST) {
            let tickers: Vec<Ticker> = batch.iter().map(|known| known.ticker.clone()).collect();
            let answer = self.ask_by_name(&tickers, &mut Heard::default())?;
            let Some(ByName { missing, .. }) = answer else { return Ok(false) };
            self.miss(missing.into_iter(), batch)?;
        }
        Ok(true)
    }

    /// Asks by name, answers into the store; those that nobody knows, or `None` when it was not
    /// answered.
    fn ask_by_name(
        &mut self,
        tickers: &[Ticker],
        heard: &mut Heard,
    ) -> Result<Option<ByName>, Failure> {
        let attempts_max = Policy::default().attempts_max;
        match list::by_name(self.asker, &mut self.jitter, attempts_max, tickers) {
            Ok(Some(mut answer)) => {
                for page in std::mem::take(&mut answer.pages) {
                    heard.hear(page.exchange_now);
                    self.note_unreadable(&page);
                    self.save(page.markets, &[])?;
                }
                Ok(Some(answer))
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
        let absence = |ticker: Ticker| {
            let known = known.iter().find(|known| known.ticker == ticker)?;
            let is_believed = lifecycle::is_gone(known, now) && !known.status.is_over();
            Some(Absence { ticker, is_believed })
        };
        let absent: Vec<Absence> = missing.filter_map(absence).collect();
        if absent.is_empty() { Ok(()) } else { self.save(Vec::new(), &absent) }
    }

    fn is_known(&mut self, target: &Target) -> bool {
        let answer = self.asker.ask(&mut self.jitter, |client, left, clock| match target {
            Target::Event(event) => client.knows_event(event, left, clock),
            Target::Series(series) => client.knows_series(series, left, clock),
            Target::Market(_) | Target::All => Ok(true),
        });
        !matches!(answer, Ok(Some(false)))
    }

    /// Markets do not name their series: their events do.
    fn series_of_events(&mut self) -> Result<(), Failure> {
        let events = self.store.events_without_series()?;
        let events: Vec<Ticker> = events.iter().filter_map(|event| Ticker::new(event)).collect();
        let (combos, plain): (Vec<_>, Vec<_>) =
            events.into_iter().partition(|event| Target::Event(event.clone()).is_combo());
        let (plain, alone): (Vec<_>, Vec<_>) = plain.into_iter().partition(Ticker::is_listable);
        for (events, are_combos) in [(plain, false), (combos, true)] {
            for batch in events.chunks(MARKETS_PER_REQUEST) {
                let asked = self.asker.ask(&mut self.jitter, |client, left, clock| {
                    client.events(batch, are_combos, left, clock)
                });
                if !self.save_events(asked)? {
                    return Ok(());
                }
            }
        }
        for event in alone {
            let asked = self.asker.ask(&mut self.jitter, |client, left, clock| {
                client.event(&event, left, clock).map(|event| event.into_iter().collect())
            });
            if !self.save_events(asked)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Stores events as they were answered; whether they were.
    fn save_events(
        &mut self,
        asked: Result<Option<Vec<EventRecord>>, Failure>,
    ) -> Result<bool, Failure> {
        match asked {
            Ok(Some(found)) => {
                let now = self.now();
                self.store.save_events(&found, now)?;
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(failure) => {
                // Everything but the series is stored; the next sync asks again.
                log::warn!("{}; some series stay unknown", one_line(&failure));
                Ok(false)
            }
        }
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
