//! One event or series of the selection: the markets that its lists show, and the questions behind an empty list.

use std::collections::BTreeSet;

use super::super::absence::{self, Behind};
use super::super::belongs;
use super::super::broken::Broken;
use super::super::list::{self, Listing};
use super::Resolver;
use crate::domain::market::{Sighting, WatchChange, WatchRecord};
use crate::domain::membership::{self, Row, Since};
use crate::domain::scope::Scope;
use crate::domain::selection::{Listed, Target, Watch};
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::failure::{Failure, one_line};
use crate::kalshi::{MarketList, MarketsPage, VENUE, means_combos};
use crate::store::Store;

/// Descriptions of markets kept until they are stored: at most some ten megabytes.
const NEWS_WAITING_MAX: usize = 2_000;

/// The markets that the lists of one entry showed.
#[derive(Default)]
struct Shown {
    joined: BTreeSet<Ticker>,
    rows: usize,
    answered_at: Option<Timestamp>,
}

/// The result of resolving an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    /// The exchange named the markets of the entry.
    Said,
    /// The entry has no market now; two questions agree about it.
    Empty,
    /// The exchange knows no such event or series.
    Refused,
    /// The exchange gave no clear answer.
    Open,
}

impl Resolver<'_> {
    /// Asks for the markets of an event or a series that are open, or were open until lately.
    pub(super) fn list(&mut self, watch: &Watch, record: &WatchRecord) -> Result<(), Failure> {
        let since = Since::of(record, self.asker.exchange_now());
        let mut shown = Shown::default();
        let mut word = Word::Said;
        for list in lists(&watch.target, &since) {
            word = self.read(&list, watch, record, &since, &mut shown)?;
            if word != Word::Said || shown.rows == 0 {
                break;
            }
        }
        self.is_asked_twice |= since.is_new_hour;
        if word == Word::Said && shown.rows == 0 {
            word = self.look_behind(watch, record, &since, &mut shown)?;
        }
        if word == Word::Refused {
            self.refuse(watch.target.clone());
            return Ok(());
        }
        if word == Word::Open {
            let since = record.resolved_at.unwrap_or(record.first_selected_at);
            self.unresolved.push((watch.target.clone(), since, watch.sla));
        } else {
            self.accounted.extend(record.members.iter().cloned());
            self.tell_archived(&watch.target, &since);
        }
        let is_said = word != Word::Open;
        let answered_at = shown.answered_at.filter(|_| is_said);
        let change = WatchChange {
            watch: record.watch.clone(),
            resolved_at: answered_at.map(|at| membership::evidence(at, self.now)),
            joined: shown.joined.into_iter().collect(),
            known_at: (shown.rows > 0 || word == Word::Empty).then_some(self.now),
            empty_at: (word == Word::Empty).then_some(self.now),
            ..WatchChange::default()
        };
        self.changes.insert(record.watch.clone(), change);
        Ok(())
    }

    /// Reads one list to its end.
    fn read(
        &mut self,
        list: &MarketList,
        watch: &Watch,
        record: &WatchRecord,
        since: &Since,
        shown: &mut Shown,
    ) -> Result<Word, Failure> {
        let (asker, attempts_max) = (self.asker, self.attempts_max);
        let mut jitter = self.jitter.clone();
        let listing = list::each_page(asker, &mut jitter, attempts_max, list, &mut |page| {
            self.take_listed(page, watch, record, since, shown)?;
            self.save_news(NEWS_WAITING_MAX).map_err(Broken::Store)
        });
        self.jitter = jitter;
        match listing {
            Ok(Listing::Whole) => Ok(Word::Said),
            Ok(Listing::OutOfTime) => Ok(Word::Open),
            Err(broken) => {
                let failure = broken.of_exchange()?;
                // The next list is still asked for, but with fewer attempts.
                self.attempts_max = 1;
                self.trouble(&watch.target, &failure, record.members.len());
                Ok(Word::Open)
            }
        }
    }

    /// Takes over a page of a list, once it is certain that the page answers the question.
    fn take_listed(
        &mut self,
        mut page: MarketsPage,
        watch: &Watch,
        record: &WatchRecord,
        since: &Since,
        shown: &mut Shown,
    ) -> Result<(), Broken> {
        shown.answered_at.get_or_insert(page.exchange_now);
        if let Target::Series(series) = &watch.target {
            let mut jitter = self.jitter.clone();
            let store: Option<&mut dyn Store> = Some(&mut *self.store);
            belongs::hold(self.asker, &mut jitter, self.attempts_max, store, series, &mut page)?;
        }
        shown.rows += page.tickers.len();
        let shard = self.selection.shard();
        page.tickers.retain(|ticker| shard.holds(ticker));
        page.markets.retain(|row| shard.holds(&row.market.ticker));
        let described: BTreeSet<&Ticker> =
            page.markets.iter().map(|row| &row.market.ticker).collect();
        // A market with an unreadable description may still trade.
        for ticker in page.tickers.iter().filter(|ticker| !described.contains(ticker)) {
            self.join(ticker, Listed::Open, watch, record, shown);
        }
        let mut ended = Vec::new();
        for sighting in page.markets {
            let ticker = sighting.market.ticker.clone();
            match membership::row(&sighting.market, since, page.exchange_now) {
                Row::Open => {
                    self.join(&ticker, Listed::Open, watch, record, shown);
                    self.see(sighting);
                }
                Row::Ended if !self.known.contains_key(&ticker) => ended.push(sighting),
                Row::Ended | Row::Other if self.known.contains_key(&ticker) => self.see(sighting),
                Row::Ended | Row::Other => {}
            }
        }
        self.catch_up(ended, watch, record, shown).map_err(Broken::Store)
    }

    fn join(
        &mut self,
        ticker: &Ticker,
        listed: Listed,
        watch: &Watch,
        record: &WatchRecord,
        shown: &mut Shown,
    ) {
        self.roster.add(self.selection.shard(), ticker.clone(), watch.sla, listed);
        if record.members.binary_search(ticker).is_err() {
            shown.joined.insert(ticker.clone());
        }
    }

    /// Adds the markets that opened and closed while no pass ran. Markets that were read and retired stay retired,
    /// unless they are not over after all.
    fn catch_up(
        &mut self,
        ended: Vec<Sighting>,
        watch: &Watch,
        record: &WatchRecord,
        shown: &mut Shown,
    ) -> Result<(), Failure> {
        if ended.is_empty() {
            return Ok(());
        }
        let scopes: Vec<Scope> = ended.iter().map(|row| row.market.ticker.clone().into()).collect();
        let read = self.store.checkpoints_on_record(&scopes)?;
        let retired: BTreeSet<Scope> = { read.into_iter() }
            .filter(|row| row.retired_at.is_some())
            .map(|row| row.scope)
            .collect();
        for sighting in ended {
            let market = &sighting.market;
            if market.status.is_over() && retired.contains(&Scope::Market(market.ticker.clone())) {
                continue;
            }
            let ticker = market.ticker.clone();
            self.join(&ticker, Listed::No, watch, record, shown);
            self.see(sighting);
        }
        Ok(())
    }

    /// Asks other questions about an empty list: an empty list proves nothing alone.
    fn look_behind(
        &mut self,
        watch: &Watch,
        record: &WatchRecord,
        since: &Since,
        shown: &mut Shown,
    ) -> Result<Word, Failure> {
        let target = &watch.target;
        let now = self.asker.exchange_now();
        let may_be_open = |member: &Ticker| {
            let known = self.known.get(member);
            known.is_none_or(|known| {
                known.status.may_trade() && known.close_time.is_none_or(|at| now < at)
            })
        };
        let has_open = record.members.iter().any(may_be_open);
        if !since.is_gap() && membership::is_emptiness_known(record, has_open, self.now) {
            return Ok(Word::Empty);
        }
        // Otherwise nothing can be lost: the next list begins at the same instant as this one.
        let by_events = has_open || record.resolved_at.is_none() || since.is_gap();
        let mut jitter = self.jitter.clone();
        let behind =
            absence::behind(self.asker, &mut jitter, self.attempts_max, target, false, by_events);
        self.jitter = jitter;
        match behind {
            Ok(Behind::OutOfTime) => Ok(Word::Open),
            Ok(Behind::Unknown) => self.judge_unknown(target, record, has_open),
            Ok(Behind::Known(events)) => {
                for page in events.pages {
                    if let Err(broken) = self.take_listed(page, watch, record, since, shown) {
                        return Ok(self.leave_unsaid(target, broken.of_exchange()?));
                    }
                }
                let is_contradicted = shown.joined.iter().chain(&record.members).any(|ticker| {
                    self.roster.market(ticker).is_some_and(|demand| demand.listed == Listed::Open)
                });
                if !is_contradicted {
                    return Ok(Word::Empty);
                }
                log::warn!(
                    "{}: the list of its markets is empty, but its events show some; going on with those",
                    target.name()
                );
                Ok(Word::Open)
            }
            Err(failure) => Ok(self.leave_unsaid(target, failure)),
        }
    }

    /// Leaves an entry open: its list is empty, and the questions about that failed.
    fn leave_unsaid(&mut self, target: &Target, failure: Failure) -> Word {
        if self.asker.is_forbidden() {
            self.troubles.push(failure);
        } else {
            self.attempts_max = 1;
            log::warn!(
                "{}: its list is empty, and nobody says why; asking again in the next pass: {}",
                target.name(),
                one_line(&failure)
            );
        }
        Word::Open
    }

    /// The exchange knows no such event or series. The name is a mistake of the user, unless it was known before.
    fn judge_unknown(
        &mut self,
        target: &Target,
        record: &WatchRecord,
        has_open: bool,
    ) -> Result<Word, Failure> {
        let was_known = record.known_at.is_some()
            || !record.members.is_empty()
            || self.store.is_on_record(target)?;
        if !was_known {
            return Ok(Word::Refused);
        }
        log::warn!("{}: the exchange does not know it any more", target.name());
        Ok(if has_open { Word::Open } else { Word::Empty })
    }

    /// Warns that no list of the live tier holds the markets that the archive took since the last look.
    fn tell_archived(&mut self, target: &Target, since: &Since) {
        if !since.is_long_gap(VENUE.live_min) {
            return;
        }
        let mut jitter = self.jitter.clone();
        let asked = self
            .asker
            .ask_at_most(1, &mut jitter, |client, left, clock| client.cutoff(left, clock));
        let cutoff = match asked {
            Ok(Some((cutoff, _))) => cutoff,
            Ok(None) | Err(_) => self.asker.exchange_now(),
        };
        if since.ended_from < cutoff {
            log::warn!(
                "{name}: nobody looked since {from}, and the archive has grown to {cutoff} since: markets that \
                 opened and settled in between are read by `backfill --{kind} {label} --from {from} --to {cutoff}` only",
                name = target.name(),
                kind = target.kind(),
                label = target.label(),
                from = since.ended_from,
            );
        }
    }

    fn trouble(&mut self, target: &Target, failure: &Failure, known: usize) {
        let kind = failure.kind;
        let name = target.name();
        let message = format!(
            "{name} could not be resolved, so new markets wait; going on with the {known} known ones"
        );
        self.troubles.push(Failure::new(kind, message).because(one_line(failure)));
    }
}

/// The lists to ask for about an event or a series. One list holds all markets that are open or were open until
/// lately; another one holds those that settled while no pass ran for long. Once an hour the open markets are also
/// asked for by status, because a market with a nonsensical closing time is on no list by closing times.
fn lists(target: &Target, since: &Since) -> Vec<MarketList> {
    let all = MarketList { with_combos: means_combos(target), ..MarketList::ALL };
    match target {
        Target::Event(event) => vec![MarketList { event: Some(event.clone()), ..all }],
        Target::Series(series) => {
            let of_series = MarketList { series: Some(series.clone()), ..all };
            let from = since.list_from.second();
            let settled = MarketList {
                status: Some("settled"),
                settled_from: Some(from),
                ..of_series.clone()
            };
            let open = MarketList { status: Some("open"), ..of_series.clone() };
            let listed = MarketList { closing_from: Some(from), ..of_series };
            let settled = since.is_gap().then_some(settled);
            let open = since.is_new_hour.then_some(open);
            std::iter::once(listed).chain(settled).chain(open).collect()
        }
        Target::Market(_) | Target::All => Vec::new(),
    }
}
