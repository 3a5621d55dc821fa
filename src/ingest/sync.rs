//! The metadata of the selection's markets. Where the exchange lists changes, a sync reads the changes since the last
//! sync; elsewhere it reads everything. Each page goes into the store.

mod empty;
mod names;

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use super::asker::Asker;
use super::belongs;
use super::broken::Broken;
use super::list::{self, Listing};
use super::resolve::unknown;
use crate::domain::lifecycle;
use crate::domain::market::{
    Absence, EventRecord, FalseMark, Known, MarketScope, Sighting, WatchChange, WatchRecord,
};
use crate::domain::selection::{Selection, Shard, Target, Watch};
use crate::domain::sync_mark::{Heard, is_from_a_future, latest_credible_trade};
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::failure::{Failure, one_line};
use crate::kalshi::{MARKETS_PER_REQUEST, MarketList, MarketsPage, VENUE, is_combo, means_combos};
use crate::retry::{Jitter, Policy};
use crate::store::{RunId, Store};

/// The overlap of two lists of changes. Answers are cached for five seconds and the filter takes whole seconds, so
/// that a change is read twice rather than never.
const UPDATED_OVERLAP: Duration = Duration::from_secs(60);

/// The age of a sync after which everything is listed again. Markets leave the live tier, and its list of changes,
/// some sixty days after they settled.
const RELIST_AFTER: Duration = Duration::from_secs(30 * 86_400);

/// The statuses by which all markets of the exchange are listed. Settled markets are left out: there are many times as
/// many, and a market that settles appears as a change of a known one.
const UNSETTLED: [&str; 4] = ["unopened", "open", "paused", "closed"];

/// The interval between two looks at an entry without markets: each look reads all of its lists.
const EMPTY_AGAIN: Duration = Duration::from_secs(3_600);

/// Known combos that one sync asks for alone before it gives them up.
const ALONE_MAX: usize = 5;

/// The name of the record for all markets that were named one by one.
const NAMED: &str = "named";

/// The name of the record that a sync keeps of an entry: one for each shard, because each shard stores its own
/// markets.
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

/// The result of a sync.
#[derive(Debug, Default)]
pub struct Synced {
    /// Entries of the selection that were due; all markets named one by one count as one entry.
    pub entries: usize,
    /// Descriptions of markets that were read.
    pub markets: u64,
    /// Markets that changed their status, or were seen for the first time.
    pub status_changes: u64,
    /// Whether all of the selection was covered.
    pub is_whole: bool,
    /// The first reason why a description of a market could not be read.
    pub first_unreadable: Option<String>,
    /// The failures; the kind of each says who has to act.
    pub troubles: Vec<Failure>,
}

/// Brings the metadata of the selection's markets up to date, for the entries last synced at least `age_min` ago.
/// Entries that fail do not stop the others; only a failure of the store ends it.
pub fn sync(
    selection: &Selection,
    store: &mut dyn Store,
    asker: &Asker,
    age_min: Duration,
    run: RunId,
) -> Result<Synced, Failure> {
    let now = asker.budget().clock().now();
    let is_by_hand = age_min.is_zero();
    let names: Vec<String> = selection.watches().iter().map(|watch| watch.target.name()).collect();
    let mut refused: HashSet<String> =
        store.refusals(&names)?.into_iter().map(|refusal| refusal.name).collect();
    if is_by_hand {
        // A user who asks by hand wants the present answer, so earlier refusals are forgotten.
        refused.clear();
    }
    let records = store.watches(&record_names(selection, &refused), now)?;
    let jitter = asker.jitter();
    // Our own clock may have been ahead at the last sync.
    let is_due = |record: &WatchRecord| {
        // A sync without a mark found nothing. A migration removes marks but no members.
        let is_group =
            matches!(Target::of_name(&record.watch), Some(Target::Event(_) | Target::Series(_)));
        let is_empty = is_group && record.synced_until.is_none() && record.members.is_empty();
        let wait = if is_empty && !is_by_hand { age_min.max(EMPTY_AGAIN) } else { age_min };
        record.synced_at.is_none_or(|at| now.since(at) >= wait || at > now)
    };
    let due: Vec<&WatchRecord> = records.iter().filter(|record| is_due(record)).collect();
    let synced = Synced { entries: due.len(), is_whole: true, ..Synced::default() };
    let (refused_now, known_now) = (Vec::new(), Vec::new());
    let seen = HashSet::new();
    let mut work = Syncer {
        selection,
        store,
        asker,
        run,
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
    work.save_names(now)?;
    work.synced.is_whole &= asker.stopped().is_none();
    Ok(work.synced)
}

/// The result of reading the lists of an entry.
#[derive(Default)]
struct Read {
    heard: Heard,
    rows: usize,
    has_unreadable: bool,
}

/// A sync in progress.
struct Syncer<'a> {
    selection: &'a Selection,
    store: &'a mut dyn Store,
    asker: &'a Asker,
    run: RunId,
    jitter: Jitter,
    synced: Synced,
    /// Markets just read, which need not be asked for by name.
    seen: HashSet<Ticker>,
    /// Whether a user waits for the whole sync.
    is_by_hand: bool,
    /// Names that the exchange refused not long ago; they are not asked for.
    refused: HashSet<String>,
    /// Names that the exchange refused in this sync.
    refused_now: Vec<String>,
    /// Names that the exchange knows in this sync.
    known_now: Vec<String>,
}

impl Syncer<'_> {
    fn ours(&self) -> Timestamp {
        self.asker.budget().clock().now()
    }

    /// The mark of an entry if it is credible: all changes before it were seen.
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
        // A market that settled and was archived since such an old sync is on no list of changes.
        let is_recent = record.synced_at.is_some_and(|at| self.ours().since(at) < RELIST_AFTER);
        Ok(Some(claimed).filter(|claimed| is_recent && *claimed > VENUE.first_trades))
    }

    /// The instant before which all changes are known, given the times in the lists' answers.
    fn proven_until(&mut self, heard: Heard) -> Result<Option<Timestamp>, Failure> {
        let (exchange, ours) = (self.now(), self.ours());
        let newest = self.store.newest_trade(latest_credible_trade(exchange, ours))?;
        Ok(heard.until(newest, ours))
    }

    /// Notes the first unreadable description of a page. Returns whether there is one.
    fn note_unreadable(&mut self, page: &MarketsPage) -> bool {
        if let Some(reason) = &page.first_unreadable {
            self.synced.first_unreadable.get_or_insert_with(|| reason.clone());
        }
        page.first_unreadable.is_some()
    }

    /// The current time by the exchange's clock, by which markets open and close.
    fn now(&self) -> Timestamp {
        self.asker.exchange_now()
    }

    /// Syncs one entry that stands for many markets: first its lists, then the changes that no list shows.
    fn entry(&mut self, target: &Target, record: &WatchRecord) -> Result<(), Failure> {
        let mut read = Read::default();
        let mut empty = Vec::new();
        let mark = self.mark(record)?;
        for list in lists(target, mark) {
            let rows_before = read.rows;
            if !self.list(&list, &mut read)? {
                self.synced.is_whole = false;
                return Ok(());
            }
            if read.rows == rows_before {
                empty.push(list);
            }
        }
        if !empty.is_empty() && !self.agree(target, record, mark, &empty, read.rows)? {
            return Ok(());
        }
        self.known_now.push(target.name());
        if !self.look_after_lists(target)? {
            return Ok(());
        }
        // An empty list proves nothing: the mark stays where it was.
        let evidence = match self.proven_until(read.heard)? {
            _ if read.rows == 0 => None,
            // The unreadable description has to be on the next list, too.
            _ if read.has_unreadable => mark.or(Some(VENUE.first_trades)),
            proven => proven,
        };
        let ours = self.ours();
        let change = WatchChange {
            watch: record.watch.clone(),
            synced: Some((ours, evidence)),
            known_at: Some(ours),
            ..WatchChange::default()
        };
        self.store.save_watches(&[change])
    }

    /// Asks by name for the markets that may have changed without being on a list. Returns whether all of them were
    /// answered for.
    fn look_after_lists(&mut self, target: &Target) -> Result<bool, Failure> {
        let scope = match target {
            Target::Event(event) => MarketScope::Event(event.as_str()),
            Target::Series(series) => MarketScope::Series(series.as_str()),
            Target::Market(_) | Target::All => MarketScope::All,
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

    /// Reads a list and stores each page. Returns whether it was read to its end.
    fn list(&mut self, list: &MarketList, read: &mut Read) -> Result<bool, Failure> {
        let (asker, mut jitter) = (self.asker, self.jitter.clone());
        let attempts_max = Policy::default().attempts_max;
        let listing = list::each_page(asker, &mut jitter, attempts_max, list, &mut |mut page| {
            if let Some(series) = &list.series {
                let mut jitter = self.jitter.clone();
                let store: Option<&mut dyn Store> = Some(&mut *self.store);
                belongs::hold(asker, &mut jitter, attempts_max, store, series, &mut page)?;
            }
            read.heard.hear(page.exchange_now);
            read.rows += page.tickers.len();
            read.has_unreadable |= self.note_unreadable(&page);
            self.save(page.markets, &[]).map_err(Broken::Store)
        });
        self.jitter = jitter;
        match listing {
            Err(broken) => {
                self.synced.troubles.push(broken.of_exchange()?);
                Ok(false)
            }
            Ok(listing) => Ok(listing == Listing::Whole),
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

    /// Asks for the series of events: markets name their event but not their series.
    fn series_of_events(&mut self) -> Result<(), Failure> {
        let events = self.store.events_without_series()?;
        let events: Vec<Ticker> = events.iter().filter_map(|event| Ticker::new(event)).collect();
        let (combos, plain): (Vec<_>, Vec<_>) = events.into_iter().partition(is_combo);
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

    /// Stores events as the exchange answered. Returns whether it answered.
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
                // Everything but the series is stored; the next sync asks again for the series.
                log::warn!("{}; some series stay unknown", one_line(&failure));
                Ok(false)
            }
        }
    }
}

/// The lists that bring an entry up to date. The exchange lists the changes of everything or of a series, but not of
/// combos; an event is small enough to be read whole.
pub(super) fn lists(target: &Target, synced_until: Option<Timestamp>) -> Vec<MarketList> {
    let with_combos = means_combos(target);
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
