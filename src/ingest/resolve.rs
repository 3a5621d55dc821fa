//! From the selection to the markets of this pass: the markets that the exchange lists, the known ones that are not
//! over, and the named ones if they exist.

mod entry;
mod look;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use super::asker::Asker;
use crate::domain::lifecycle;
use crate::domain::market::{Absence, Known, Refusal, Sighting, WatchChange, WatchRecord};
use crate::domain::selection::{Listed, Roster, Selection, Target, Watch};
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::failure::Failure;
use crate::retry::Jitter;
use crate::store::Store;

/// Attempts at one list. The trades of known markets matter more than the latest word about new markets.
const ATTEMPTS_MAX: u32 = 3;

/// The markets of a pass, and the facts known of them.
#[derive(Debug, Default)]
pub struct Resolved {
    /// The markets to read.
    pub roster: Roster,
    /// The known facts of these markets.
    pub known: HashMap<Ticker, Known>,
    /// The records of the entries that stand for many markets, as they were before this pass.
    pub records: Vec<WatchRecord>,
    /// The failures; the kind of each says who has to act.
    pub troubles: Vec<Failure>,
    /// Entries that could not be resolved: the target, the instant since which it is unresolved, and the SLA.
    pub unresolved: Vec<(Target, Timestamp, Duration)>,
    /// Entries that the exchange does not know. They are reported, and their staleness is not judged.
    pub refused: BTreeSet<Target>,
}

/// Finds the markets that the selection stands for. Only a failure of the store ends it: where the exchange does not
/// answer, its previous answer is used.
pub fn resolve(
    selection: &Selection,
    store: &mut dyn Store,
    asker: &Asker,
) -> Result<Resolved, Failure> {
    let now = asker.budget().clock().now();
    let mut resolver = Resolver::new(selection, store, asker, now);
    resolver.recall_refusals()?;
    let watches: Vec<&Watch> = selection
        .watches()
        .iter()
        .filter(|watch| watch.target.is_resolved() && !resolver.refused.contains(&watch.target))
        .collect();
    let names: Vec<String> = watches.iter().map(|watch| watch.target.name()).collect();
    let records =
        if names.is_empty() { Vec::new() } else { resolver.store.watches(&names, now)? };
    let of_watch = |watch: &Watch| {
        let name = watch.target.name();
        records.iter().find(|record| record.watch == name)
    };
    let entries: Vec<(&Watch, &WatchRecord)> =
        watches.iter().filter_map(|watch| Some((*watch, of_watch(watch)?))).collect();
    for (watch, record) in &entries {
        for member in &record.members {
            resolver.roster.add(selection.shard(), member.clone(), watch.sla, Listed::No);
        }
    }
    let tickers = resolver.roster.tickers();
    if !tickers.is_empty() {
        let known = resolver.store.known_markets(&tickers)?;
        resolver.known = known.into_iter().map(|known| (known.ticker.clone(), known)).collect();
    }
    for (watch, record) in &entries {
        resolver.list(watch, record)?;
    }
    resolver.look_by_name(&entries)?;
    resolver.doubt_lists(&entries);
    resolver.save(records)
}

/// A resolution in progress.
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
    /// Markets that were open when they were asked for by name, though no list showed them.
    left_out: BTreeSet<Ticker>,
    /// Whether an entry was asked for in another way; one is enough for one pass.
    is_asked_twice: bool,
    news: BTreeMap<Ticker, Sighting>,
    absent: Vec<Absence>,
    changes: BTreeMap<String, WatchChange>,
    troubles: Vec<Failure>,
    unresolved: Vec<(Target, Timestamp, Duration)>,
    /// The names on record that the exchange refused.
    refusals: Vec<Refusal>,
    /// The targets that are refused in this pass, whether asked for now or not.
    refused: BTreeSet<Target>,
    /// The names among them that were asked for in this pass.
    refused_now: Vec<String>,
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
            jitter: asker.jitter(),
            attempts_max: ATTEMPTS_MAX,
            roster: selection.named(),
            known: HashMap::new(),
            accounted: BTreeSet::new(),
            left_out: BTreeSet::new(),
            is_asked_twice: false,
            news: BTreeMap::new(),
            absent: Vec::new(),
            changes: BTreeMap::new(),
            troubles: Vec::new(),
            unresolved: Vec::new(),
            refusals: Vec::new(),
            refused: BTreeSet::new(),
            refused_now: Vec::new(),
        }
    }

    /// Reports the names that the exchange refused not long ago; the other names are asked for again.
    fn recall_refusals(&mut self) -> Result<(), Failure> {
        let targets: Vec<&Target> =
            self.selection.watches().iter().map(|watch| &watch.target).collect();
        let names: Vec<String> = targets.iter().map(|target| target.name()).collect();
        self.refusals = self.store.refusals(&names)?;
        let now = self.now;
        let is_believed = |refusal: &Refusal| {
            let Refusal { first_refused_at: first, checked_at: checked, .. } = *refusal;
            checked <= now && now.since(checked) < lifecycle::look_again_after(first, checked)
        };
        let believed: BTreeSet<&str> =
            self.refusals.iter().filter(|r| is_believed(r)).map(|r| r.name.as_str()).collect();
        let told: Vec<Target> = targets
            .into_iter()
            .filter(|target| believed.contains(target.name().as_str()))
            .cloned()
            .collect();
        for target in told {
            self.tell_refused(target);
        }
        Ok(())
    }

    fn tell_refused(&mut self, target: Target) {
        if let Target::Market(ticker) = &target {
            // An event or a series may stand for this market nevertheless; then the market is added again.
            self.roster.remove(ticker);
        }
        self.troubles.push(unknown(&target));
        self.refused.insert(target);
    }

    /// Notes a name that the exchange was asked for and does not know.
    fn refuse(&mut self, target: Target) {
        self.refused_now.push(target.name());
        self.tell_refused(target);
    }

    /// Stores the news if there are at least `count_min` markets of it.
    fn save_news(&mut self, count_min: usize) -> Result<(), Failure> {
        if self.news.len() >= count_min {
            let news: Vec<Sighting> = std::mem::take(&mut self.news).into_values().collect();
            self.store.save_markets(&news, &[], self.asker.exchange_now())?;
        }
        Ok(())
    }

    /// Takes over a description, and keeps it to be stored if it is news.
    fn see(&mut self, sighting: Sighting) {
        let known = self.known.get(&sighting.market.ticker);
        let is_news = lifecycle::is_news(known, &sighting.market);
        self.remember(&sighting);
        if is_news {
            self.keep(sighting);
        }
    }

    /// Keeps a description to be stored. Of a market that several lists show, it keeps the last description and its
    /// series.
    fn keep(&mut self, mut sighting: Sighting) {
        let ticker = sighting.market.ticker.clone();
        let before = self.news.remove(&ticker);
        let series = before.and_then(|before| before.market.series);
        sighting.market.series = sighting.market.series.take().or(series);
        self.news.insert(ticker, sighting);
    }

    fn remember(&mut self, sighting: &Sighting) {
        let ticker = sighting.market.ticker.clone();
        let known = self.known.get(&ticker);
        let after = Known::after(known, sighting, self.asker.exchange_now());
        self.known.insert(ticker, after);
    }

    /// Withdraws the belief in lists that left out an open market: such a list proves nothing of the others.
    fn doubt_lists(&mut self, entries: &[(&Watch, &WatchRecord)]) {
        for (watch, record) in entries {
            let Some(change) = self.changes.get_mut(&record.watch) else { continue };
            let left_out = record.members.iter().find(|member| self.left_out.contains(*member));
            let Some(market) = left_out.filter(|_| change.resolved_at.is_some()) else { continue };
            log::warn!(
                "{}: its list left out {market}, which trades; asking again in the next pass",
                watch.target.name()
            );
            (change.resolved_at, change.empty_at) = (None, None);
            let since = record.resolved_at.unwrap_or(record.first_selected_at);
            self.unresolved.push((watch.target.clone(), since, watch.sla));
        }
    }

    fn save(mut self, records: Vec<WatchRecord>) -> Result<Resolved, Failure> {
        if !self.news.is_empty() || !self.absent.is_empty() {
            let news: Vec<Sighting> = std::mem::take(&mut self.news).into_values().collect();
            self.store.save_markets(&news, &self.absent, self.asker.exchange_now())?;
        }
        let changes: Vec<WatchChange> = std::mem::take(&mut self.changes)
            .into_values()
            .filter(|change| {
                let nothing = WatchChange { watch: change.watch.clone(), ..WatchChange::default() };
                *change != nothing
            })
            .collect();
        if !changes.is_empty() {
            self.store.save_watches(&changes)?;
        }
        let lifted = self.lifted(&changes);
        if !self.refused_now.is_empty() || !lifted.is_empty() {
            self.store.save_refusals(&self.refused_now, &lifted, self.now)?;
        }
        Ok(Resolved {
            roster: self.roster,
            known: self.known,
            records,
            troubles: self.troubles,
            unresolved: self.unresolved,
            refused: self.refused,
        })
    }

    /// The names that the exchange refused before and knows now.
    fn lifted(&self, changes: &[WatchChange]) -> Vec<String> {
        let is_known = |refusal: &&Refusal| match Target::of_name(&refusal.name) {
            Some(Target::Market(ticker)) => self.known.contains_key(&ticker),
            _ => changes.iter().any(|c| c.watch == refusal.name && c.known_at.is_some()),
        };
        let refused = self.refusals.iter().filter(is_known);
        refused.map(|refusal| refusal.name.clone()).collect()
    }
}

/// The failure for a name that nothing has.
pub fn unknown(target: &Target) -> Failure {
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
