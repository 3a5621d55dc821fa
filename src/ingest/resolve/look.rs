//! Asks by name for markets that no list shows, when it is time to: for those that wait for a change, and now and then
//! for those that are over.

use std::collections::{BTreeMap, BTreeSet};

use super::super::absence::{self, Alone};
use super::super::list;
use super::{Resolver, Target, WatchRecord};
use crate::domain::lifecycle::{self, AGAIN_MAX, ENDED_LATELY};
use crate::domain::market::{Absence, Known, MarketScope};
use crate::domain::scope::Scope;
use crate::domain::selection::{Listed, Watch};
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::failure::{Failure, Kind, one_line};
use crate::kalshi::{MARKETS_PER_REQUEST, MarketList, MarketsPage, VENUE, is_combo};

/// Markets seen before that are asked for by name in one pass; the others that are due wait for their turn.
const LOOKS_MAX: usize = MARKETS_PER_REQUEST;
/// Markets asked for alone in one pass; each takes two requests.
const ALONE_MAX: usize = 5;
/// Entries whose markets that are over are looked through in one pass; each takes a query.
const ENTRIES_MAX: usize = 20;

/// Markets that are over and were asked for again, with the entries that each belongs to.
type Over = BTreeMap<Ticker, Vec<usize>>;

impl Resolver<'_> {
    /// Asks for the markets that no list shows.
    pub(super) fn look_by_name(
        &mut self,
        entries: &[(&Watch, &WatchRecord)],
    ) -> Result<(), Failure> {
        // Markets open and close by the exchange's clock.
        let now = self.asker.exchange_now();
        let mut due = self.due(now);
        let mut over = Over::new();
        let again = lifecycle::again(self.over(entries, now, &mut over)?, now, VENUE.live_max);
        let is_asked_anyway = !due.is_empty();
        if is_asked_anyway {
            // A request that is made anyway has room for some of the others.
            let room = due.len().next_multiple_of(MARKETS_PER_REQUEST) - due.len();
            due.extend(again.iter().take(room).map(|known| known.ticker.clone()));
        }
        let (mut missing, mut unasked) = (Vec::new(), BTreeSet::new());
        for batch in due.chunks(MARKETS_PER_REQUEST) {
            match list::by_name(self.asker, &mut self.jitter, self.attempts_max, batch) {
                Ok(Some(answer)) => {
                    answer.pages.into_iter().for_each(|page| self.take_looked(page));
                    for sighting in answer.alone.into_iter().flat_map(|page| page.markets) {
                        // Some markets are on no list at all: they say nothing about this entry's list.
                        self.remember(&sighting);
                        self.keep(sighting);
                    }
                    unasked.extend(answer.missing.iter().filter(|t| is_combo(t)).cloned());
                    missing.extend(answer.missing);
                    answer.unsure.into_iter().for_each(|ticker| self.leave_open(ticker));
                }
                Ok(None) => break,
                Err(failure) => {
                    // The trades of these markets are read all the same. After a nonsensical answer the markets are
                    // asked for in another way.
                    let is_nonsense = failure.kind == Kind::ExchangeUnreadable;
                    if !self.go_on_after(failure) || !is_nonsense {
                        break;
                    }
                    unasked.extend(batch.iter().cloned());
                    missing.extend(batch.iter().cloned());
                }
            }
        }
        self.miss_all(missing, &unasked, now)?;
        if !is_asked_anyway && !self.is_asked_twice && !again.is_empty() {
            self.look_again(&again, now);
        }
        self.take_back(entries, &over);
        Ok(())
    }

    /// The markets that are due: first those never seen, then those not looked at for the longest time.
    fn due(&self, now: Timestamp) -> Vec<Ticker> {
        let mut due: Vec<(Option<Timestamp>, Ticker)> = Vec::new();
        for (ticker, demand) in self.roster.markets() {
            let known = self.known.get(ticker);
            let is_departed = self.accounted.contains(ticker);
            if lifecycle::is_due(known, demand.listed, is_departed, now) {
                due.push((known.map(|known| known.checked_at), ticker.clone()));
            }
        }
        due.sort();
        let never_seen = due.iter().filter(|(checked_at, _)| checked_at.is_none()).count();
        due.truncate(never_seen.next_multiple_of(MARKETS_PER_REQUEST).max(LOOKS_MAX));
        due.into_iter().map(|(_, ticker)| ticker).collect()
    }

    /// The markets of the selection that are over and whose turn it is now.
    fn over(
        &mut self,
        entries: &[(&Watch, &WatchRecord)],
        now: Timestamp,
        of_entries: &mut Over,
    ) -> Result<Vec<Known>, Failure> {
        let shard = self.selection.shard();
        let mut over: BTreeMap<Ticker, Known> = BTreeMap::new();
        let is_over = |(ticker, _): &(&Ticker, _)| {
            self.known.get(*ticker).is_some_and(|known| known.status.is_over())
        };
        for (ticker, _) in self.roster.markets().filter(is_over) {
            over.insert(ticker.clone(), self.known[ticker].clone());
        }
        // When there are many entries, each minute takes other ones.
        let stride = entries.len().div_ceil(ENTRIES_MAX).max(1);
        let turn = usize::try_from(now.second().div_euclid(60)).unwrap_or(0) % stride;
        for (at, (watch, _)) in entries.iter().enumerate().skip(turn).step_by(stride) {
            let scope = match &watch.target {
                Target::Event(event) => MarketScope::Event(event.as_str()),
                Target::Series(series) => MarketScope::Series(series.as_str()),
                Target::Market(_) | Target::All => continue,
            };
            let found = self.store.over_markets(scope, now.before(ENDED_LATELY), AGAIN_MAX)?;
            for known in found.into_iter().filter(|known| shard.holds(&known.ticker)) {
                of_entries.entry(known.ticker.clone()).or_default().push(at);
                let is_open = self.known.get(&known.ticker).is_some_and(|k| !k.status.is_over());
                if !is_open {
                    over.entry(known.ticker.clone()).or_insert(known);
                }
            }
        }
        Ok(over.into_values().collect())
    }

    /// Asks in one request for markets that are over: no status is final for good.
    fn look_again(&mut self, again: &[Known], now: Timestamp) {
        let tickers: Vec<Ticker> = again.iter().map(|known| known.ticker.clone()).collect();
        let list = MarketList::named(&tickers);
        let is_archived =
            again.iter().any(|known| lifecycle::is_archived(known, now, VENUE.live_max));
        let list = if is_archived { list.archived() } else { list };
        let answer = self.asker.ask_at_most(1, &mut self.jitter, |client, left, clock| {
            client.markets(&list, None, left, clock)
        });
        match answer {
            Ok(Some(page)) => {
                let shown: BTreeSet<Ticker> = page.tickers.iter().cloned().collect();
                self.take_looked(page);
                let left_out = tickers.into_iter().filter(|ticker| !shown.contains(ticker));
                let absence = |ticker| Absence { ticker, is_believed: false };
                self.absent.extend(left_out.map(absence));
            }
            Ok(None) => {}
            Err(failure) => {
                self.go_on_after(failure);
            }
        }
    }

    /// Reports the failure. Returns whether it makes sense to continue asking.
    fn go_on_after(&mut self, failure: Failure) -> bool {
        if self.asker.is_forbidden() {
            self.troubles.push(failure);
            return false;
        }
        self.attempts_max = 1;
        match failure.kind {
            Kind::ExchangeUnreadable => self.troubles.push(failure),
            _ => log::warn!("{}; their status is checked later", one_line(&failure)),
        }
        true
    }

    /// Stores the answers of a request by name, changed or not, because the time of the look is itself news.
    fn take_looked(&mut self, page: MarketsPage) {
        let now = self.asker.exchange_now();
        for sighting in page.markets {
            let ticker = sighting.market.ticker.clone();
            self.remember(&sighting);
            let is_listed =
                self.roster.market(&ticker).is_some_and(|demand| demand.listed == Listed::Open);
            if !is_listed && lifecycle::is_open(&self.known[&ticker], now) {
                self.left_out.insert(ticker);
            }
            self.keep(sighting);
        }
    }

    /// Judges markets that neither tier lists by name. Before an absence is believed, the market is asked for alone;
    /// that was not yet done for those in `unasked`.
    fn miss_all(
        &mut self,
        missing: Vec<Ticker>,
        unasked: &BTreeSet<Ticker>,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let mut alone_left = ALONE_MAX;
        let traded = self.traded_combos(&missing)?;
        for ticker in missing {
            let known = self.known.get(&ticker);
            if known.is_some_and(|known| known.status.is_over()) {
                self.absent.push(Absence { ticker, is_believed: false });
                continue;
            }
            if known.is_some_and(|known| !lifecycle::is_gone(known, now)) && !is_combo(&ticker) {
                self.miss(ticker, false);
                continue;
            }
            let is_nothing_to_lose = is_combo(&ticker) && !traded.contains(&ticker);
            if !unasked.contains(&ticker) || is_nothing_to_lose {
                self.judge_gone(ticker)?;
                continue;
            }
            if alone_left == 0 || self.asker.is_forbidden() {
                self.leave_open(ticker);
                continue;
            }
            alone_left -= 1;
            let attempts_max = self.attempts_max;
            match absence::alone(self.asker, &mut self.jitter, attempts_max, &ticker) {
                Ok(Alone::OutOfTime) => self.leave_open(ticker),
                Ok(Alone::Known(page)) if page.markets.is_empty() => self.leave_open(ticker),
                Ok(Alone::Known(page)) => self.take_looked(page),
                Ok(Alone::Unknown) => self.judge_gone(ticker)?,
                Err(failure) => {
                    self.go_on_after(failure);
                    self.leave_open(ticker);
                }
            }
        }
        Ok(())
    }

    /// The combos of `missing` with stored trades. Most combos never trade, and the exchange deletes them when they
    /// settle.
    fn traded_combos(&mut self, missing: &[Ticker]) -> Result<BTreeSet<Ticker>, Failure> {
        let combos: Vec<Scope> =
            missing.iter().filter(|t| is_combo(t)).cloned().map(Scope::Market).collect();
        if combos.is_empty() {
            return Ok(BTreeSet::new());
        }
        let rows = self.store.checkpoints_on_record(&combos)?;
        let has_traded = rows.into_iter().filter(|row| row.last_trade_at.is_some());
        Ok(has_traded.filter_map(|row| row.scope.market().cloned()).collect())
    }

    /// Leaves a market open, because there is no clear answer: it is still read, and asked for again.
    fn leave_open(&mut self, ticker: Ticker) {
        if self.known.contains_key(&ticker) {
            self.miss(ticker, false);
        } else {
            log::warn!("{ticker}: no list names it, and it could not be asked for alone; later");
        }
    }

    /// Judges a market that no question finds.
    fn judge_gone(&mut self, ticker: Ticker) -> Result<(), Failure> {
        if self.known.contains_key(&ticker) {
            self.miss(ticker, true);
            return Ok(());
        }
        let target = Target::Market(ticker);
        if self.store.is_on_record(&target)? {
            log::warn!(
                "{}: the exchange does not know it any more; its trades are stored",
                target.name()
            );
        } else {
            self.refuse(target);
        }
        Ok(())
    }

    fn miss(&mut self, ticker: Ticker, is_believed: bool) {
        let now = self.asker.exchange_now();
        let Some(known) = self.known.get_mut(&ticker) else { return };
        known.missed(is_believed, now);
        if is_believed {
            log::warn!(
                "{ticker}: the exchange does not know it any more (delisted, or provisional); it retires with what is stored"
            );
        }
        self.absent.push(Absence { ticker, is_believed });
    }

    /// Adds markets that are not over after all to their entries again.
    fn take_back(&mut self, entries: &[(&Watch, &WatchRecord)], over: &Over) {
        for (ticker, of_entries) in over {
            if self.known.get(ticker).is_none_or(|known| known.status.is_over()) {
                continue;
            }
            for at in of_entries {
                let (watch, record) = entries[*at];
                self.roster.add(self.selection.shard(), ticker.clone(), watch.sla, Listed::No);
                if record.members.binary_search(ticker).is_ok() {
                    continue;
                }
                let change = self.changes.entry(record.watch.clone()).or_default();
                change.watch.clone_from(&record.watch);
                if !change.joined.contains(ticker) {
                    change.joined.push(ticker.clone());
                }
            }
        }
    }
}
