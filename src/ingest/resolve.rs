//! From the selection to the markets of this pass: what the exchange lists as open, what was
//! known before and is not over, and whether what was named exists.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::asker::Asker;
use super::list::{self, Listing};
use crate::domain::lifecycle;
use crate::domain::market::{Absence, Known, Sighting, WatchChange, WatchRecord};
use crate::domain::selection::{Listed, Roster, Selection, Target, Watch};
use crate::domain::time::Timestamp;
use crate::domain::trade::Ticker;
use crate::failure::{Failure, one_line};
use crate::kalshi::{MARKETS_PER_REQUEST, MarketList, MarketsPage};
use crate::retry::Jitter;
use crate::store::Store;

/// Attempts at one list. The trades of known markets are worth more than the last word about new ones.
const ATTEMPTS_MAX: u32 = 3;
/// Markets seen before that are asked for by name in one pass: what is due takes its turn.
const LOOKS_MAX: usize = MARKETS_PER_REQUEST;

/// Descriptions of markets kept until they are stored: some ten megabytes at most.
const NEWS_WAITING_MAX: usize = 2_000;

/// What a pass is about.
#[derive(Debug, Default)]
pub struct Resolved {
    /// The markets to read.
    pub roster: Roster,
    /// What is known of them.
    pub known: HashMap<Ticker, Known>,
    /// The entries that stand for many markets, as they were before.
    pub records: Vec<WatchRecord>,
    /// What went wrong, by who has to act.
    pub troubles: Vec<Failure>,
    /// Entries that could not be resolved: what they stand for, since when, and their SLA.
    pub unresolved: Vec<(Target, Timestamp, Duration)>,
}

/// Finds out which markets the selection stands for. Only a failure of the store ends it:
/// what the exchange does not answer is taken from the last time it did.
pub fn resolve(
    selection: &Selection,
    store: &mut dyn Store,
    asker: &Asker,
) -> Result<Resolved, Failure> {
    let now = asker.budget().clock().now();
    let watches: Vec<&Watch> =
        selection.watches().iter().filter(|watch| watch.target.is_resolved()).collect();
    let names: Vec<String> = watches.iter().map(|watch| watch.target.name()).collect();
    let records = if names.is_empty() { Vec::new() } else { store.watches(&names, now)? };
    let mut resolver = Resolver::new(selection, store, asker, now);
    let record_of = |watch: &Watch| {
        let name = watch.target.name();
        records.iter().find(|record| record.watch == name)
    };
    for watch in &watches {
        for member in record_of(watch).into_iter().flat_map(|record| &record.members) {
            resolver.roster.add(selection.shard(), member.clone(), watch.sla, Listed::No);
        }
    }
    let mut tickers = resolver.roster.tickers();
    tickers.retain(|ticker| !ticker.is_tape());
    if !tickers.is_empty() {
        let known = resolver.store.known_markets(&tickers)?;
        resolver.known = known.into_iter().map(|known| (known.ticker.clone(), known)).collect();
    }
    for watch in &watches {
        if let Some(record) = record_of(watch) {
            resolver.list_open(watch, record)?;
        }
    }
    resolver.look_by_name();
    resolver.save(records)
}

/// A resolution at work.
struct Resolver<'a> {
    selection: &'a Selection,
    store: &'a mut dyn Store,
    asker: &'a Asker,
    /// Our clock at the beginning.
    now: Timestamp,
    jitter: Jitter,
    attempts_max: u32,
    roster: Roster,
    known: HashMap<Ticker, Known>,
    /// Markets of entries whose list was read to the end.
    accounted: BTreeSet<Ticker>,
    news: Vec<Sighting>,
    absent: Vec<Absence>,
    changes: Vec<WatchChange>,
    troubles: Vec<Failure>,
    unresolved: Vec<(Target, Timestamp, Duration)>,
}

impl<'a> Resolver<'a> {
    fn new(
        selection: &'a Selection,
        store: &'a mut dyn Store,
        asker: &'a Asker,
        now: Timestamp,
    ) -> Resolver<'a> {
        Resolver {
            selection,
            store,
            asker,
            now,
            jitter: Jitter::from_entropy(),
            attempts_max: ATTEMPTS_MAX,
            roster: selection.named(),
            known: HashMap::new(),
            accounted: BTreeSet::new(),
            news: Vec::new(),
            absent: Vec::new(),
            changes: Vec::new(),
            troubles: Vec::new(),
            unresolved: Vec::new(),
        }
    }

    /// Asks which markets of an event or a series are open.
    fn list_open(&mut self, watch: &Watch, record: &WatchRecord) -> Result<(), Failure> {
        let list = open_markets(&watch.target);
        let mut joined = BTreeSet::new();
        let (asker, attempts_max) = (self.asker, self.attempts_max);
        let mut jitter = self.jitter.clone();
        let mut store_failure = None;
        let listing = list::each_page(asker, &mut jitter, attempts_max, &list, &mut |page| {
            self.take_listed(page, watch, record, &mut joined);
            self.save_news(NEWS_WAITING_MAX).map_err(|failure| {
                store_failure = Some(failure);
                Failure::config("the store failed")
            })
        });
        self.jitter = jitter;
        if let Some(failure) = store_failure {
            return Err(failure);
        }
        let is_whole = matches!(listing, Ok(Listing::Whole));
        if is_whole {
            self.accounted.extend(record.members.iter().cloned());
        } else {
            let since = record.resolved_at.unwrap_or(record.first_selected_at);
            self.unresolved.push((watch.target.clone(), since, watch.sla));
        }
        if let Err(failure) = listing {
            // The next one is asked for, too, but not as patiently.
            self.attempts_max = 1;
            self.trouble(&watch.target, &failure, record.members.len());
        } else if is_whole && joined.is_empty() && record.resolved_at.is_none() {
            self.expect_known(&watch.target);
        }
        self.changes.push(WatchChange {
            watch: record.watch.clone(),
            resolved_at: is_whole.then_some(self.now),
            joined: joined.into_iter().collect(),
            ..WatchChange::default()
        });
        Ok(())
    }

    /// Stores what is new, if it is that much.
    fn save_news(&mut self, count_min: usize) -> Result<(), Failure> {
        if self.news.len() >= count_min {
            let news = std::mem::take(&mut self.news);
            self.store.save_markets(&news, &[], self.asker.exchange_now())?;
        }
        Ok(())
    }

    fn take_listed(
        &mut self,
        page: MarketsPage,
        watch: &Watch,
        record: &WatchRecord,
        joined: &mut BTreeSet<Ticker>,
    ) {
        let shard = self.selection.shard();
        for ticker in page.tickers.iter().filter(|ticker| shard.holds(ticker)) {
            self.roster.add(shard, ticker.clone(), watch.sla, Listed::Open);
            if record.members.binary_search(ticker).is_err() {
                joined.insert(ticker.clone());
            }
        }
        for sighting in page.markets {
            if shard.holds(&sighting.market.ticker) {
                self.see(sighting);
            }
        }
    }

    /// Keeps what is new about a market.
    fn see(&mut self, sighting: Sighting) {
        let ticker = sighting.market.ticker.clone();
        let known = self.known.get(&ticker);
        let after = Known::after(known, &sighting, self.asker.exchange_now());
        if lifecycle::is_news(known, &sighting.market) {
            self.news.push(sighting);
        }
        self.known.insert(ticker, after);
    }

    fn trouble(&mut self, target: &Target, failure: &Failure, known: usize) {
        let kind = failure.kind;
        let name = target.name();
        let message = format!(
            "{name} could not be resolved, so new markets wait; going on with the {known} known ones"
        );
        self.troubles.push(Failure::new(kind, message).because(one_line(failure)));
    }

    /// An empty list says nothing by itself: the name may be misspelt.
    fn expect_known(&mut self, target: &Target) {
        let asked =
            self.asker.ask_at_most(self.attempts_max, &mut self.jitter, |client, left, clock| {
                match target {
                    Target::Event(event) => client.knows_event(event, left, clock),
                    Target::Series(series) => client.knows_series(series, left, clock),
                    Target::Market(_) | Target::All => Ok(true),
                }
            });
        match asked {
            Ok(Some(false)) => {
                if let Some(change) = self.changes.last_mut() {
                    change.resolved_at = None;
                }
                self.troubles.push(unknown(target));
            }
            Ok(_) => {}
            Err(failure) => log::warn!("{}", one_line(&failure)),
        }
    }

    /// Asks for the markets that no list shows, as far as it is time to.
    fn look_by_name(&mut self) {
        // Markets open and close by the exchange's clock.
        let now = self.asker.exchange_now();
        let mut due: Vec<(Option<Timestamp>, Ticker)> = Vec::new();
        for (ticker, place) in self.roster.iter().filter(|(ticker, _)| !ticker.is_tape()) {
            let known = self.known.get(ticker);
            let is_departed = self.accounted.contains(ticker);
            if lifecycle::is_due(known, place.listed, is_departed, now) {
                due.push((known.map(|known| known.checked_at), ticker.clone()));
            }
        }
        // Those never seen first, then those not looked at for longest.
        due.sort();
        let never_seen = due.iter().filter(|(checked_at, _)| checked_at.is_none()).count();
        due.truncate(never_seen.next_multiple_of(MARKETS_PER_REQUEST).max(LOOKS_MAX));
        let due: Vec<Ticker> = due.into_iter().map(|(_, ticker)| ticker).collect();
        for batch in due.chunks(MARKETS_PER_REQUEST) {
            match list::by_name(self.asker, &mut self.jitter, self.attempts_max, batch) {
                Ok(Some(answer)) => {
                    answer
                        .pages
                        .into_iter()
                        .flat_map(|page| page.markets)
                        .for_each(|s| self.see(s));
                    answer.missing.into_iter().for_each(|ticker| self.miss(ticker));
                }
                Ok(None) => return,
                Err(failure) => {
                    // Their trades are read all the same; only refusing everything is final.
                    if self.asker.is_forbidden() {
                        self.troubles.push(failure);
                    } else {
                        log::warn!("{}; their status is checked later", one_line(&failure));
                    }
                    return;
                }
            }
        }
    }

    /// Neither the live markets nor the archive have it.
    fn miss(&mut self, ticker: Ticker) {
        let Some(known) = self.known.get_mut(&ticker) else {
            self.roster.remove(&ticker);
            self.troubles.push(unknown(&Target::Market(ticker)));
            return;
        };
        let now = self.asker.exchange_now();
        let is_believed = lifecycle::is_gone(known, now);
        known.missed(is_believed, now);
        if is_believed {
            log::warn!(
                "{ticker}: the exchange does not know it any more (delisted, or provisional); it retires with what is stored"
            );
        }
        self.absent.push(Absence { ticker, is_believed });
    }

    fn save(self, records: Vec<WatchRecord>) -> Result<Resolved, Failure> {
        if !self.news.is_empty() || !self.absent.is_empty() {
            self.store.save_markets(&self.news, &self.absent, self.asker.exchange_now())?;
        }
        let is_change =
            |change: &WatchChange| change.resolved_at.is_some() || !change.joined.is_empty();
        let changes: Vec<WatchChange> = self.changes.into_iter().filter(is_change).collect();
        if !changes.is_empty() {
            self.store.save_watches(&changes)?;
        }
        Ok(Resolved {
            roster: self.roster,
            known: self.known,
            records,
            troubles: self.troubles,
            unresolved: self.unresolved,
        })
    }
}

/// The open markets of an event or a series.
fn open_markets(target: &Target) -> MarketList {
    let (event, series) = match target {
        Target::Event(event) => (Some(event.clone()), None),
        Target::Series(series) => (None, Some(series.clone())),
        Target::Market(_) | Target::All => (None, None),
    };
    let with_combos = target.is_combo();
    MarketList { event, series, status: Some("open"), with_combos, ..MarketList::ALL }
}

/// Nothing has this name.
pub(super) fn unknown(target: &Target) -> Failure {
    let (what, ticker) = match target {
        Target::Market(ticker) => ("market", ticker.as_str()),
        Target::Event(ticker) => ("event", ticker.as_str()),
        Target::Series(ticker) => ("series", ticker.as_str()),
        Target::All => ("exchange", ""),
    };
    Failure::config(format!(
        "the exchange knows no {what} {ticker}; check --{what}, its variable or the watchlist for its spelling"
    ))
}
