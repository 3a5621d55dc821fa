//! Every market, event and series of the exchange, kept in the orders in which they are listed.
//!
//! An event of the exchange (`/events`) is called a group here, because the events of the tape are trades.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;

use crate::book::Book;
use crate::market::{self, Market};

/// A position in a list: by time, then by the bytes of the ticker. Pages run downwards.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) us: i64,
    pub(crate) ticker: Arc<str>,
}

impl Place {
    fn of(market: &Market) -> Place {
        Place { us: market.created_us, ticker: market.ticker.as_str().into() }
    }
}

/// A market in the lists.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) place: Place,
    pub(crate) market: Market,
    /// Whether the market is known only from the tape.
    pub(crate) is_implicit: bool,
}

/// Markets, oldest first.
pub(crate) type Markets = BTreeMap<Place, Arc<Listed>>;

/// An event of the exchange.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) ticker: String,
    pub(crate) series_ticker: String,
    pub(crate) title: String,
    pub(crate) updated_us: i64,
    /// Whether the event is known only from the tape.
    pub(crate) is_implicit: bool,
    /// Whether it holds, or held, combos.
    pub(crate) is_combo: bool,
    pub(crate) markets: Markets,
    closes: BTreeSet<(i64, Arc<str>)>,
}

impl Group {
    /// The time at which its last market closes, by which events are listed. 0 without markets.
    pub(crate) fn close_us(&self) -> i64 {
        self.closes.last().map_or(0, |(us, _)| *us)
    }

    pub(crate) fn place(&self) -> Place {
        Place { us: self.close_us(), ticker: self.ticker.as_str().into() }
    }
}

/// A series of events.
#[derive(Debug, Default)]
pub(crate) struct Series {
    pub(crate) title: String,
    pub(crate) updated_us: i64,
    /// Whether the series is known only from the tape.
    pub(crate) is_implicit: bool,
    markets: Markets,
    group_count: usize,
}

#[derive(Default)]
pub(crate) struct Catalogue {
    by_ticker: HashMap<String, Arc<Listed>>,
    newest: Markets,
    groups: HashMap<String, Group>,
    groups_by_close: BTreeSet<Place>,
    series: BTreeMap<String, Series>,
    /// The removed markets: trades do not bring them back.
    removed: HashSet<String>,
    books: HashMap<String, Book>,
}

impl Catalogue {
    pub(crate) fn market(&self, ticker: &str) -> Option<&Arc<Listed>> {
        self.by_ticker.get(ticker)
    }

    /// All markets, oldest first; those of a series or of an event if one is named.
    pub(crate) fn markets(&self, series: Option<&str>, group: Option<&str>) -> Option<&Markets> {
        match (group, series) {
            (Some(group), _) => self.groups.get(group).map(|group| &group.markets),
            (None, Some(series)) => self.series.get(series).map(|series| &series.markets),
            (None, None) => Some(&self.newest),
        }
    }

    pub(crate) fn group(&self, event_ticker: &str) -> Option<&Group> {
        self.groups.get(event_ticker)
    }

    /// The events below a position, the one that closes last first.
    pub(crate) fn groups_below(&self, below: Option<Place>) -> impl Iterator<Item = &Group> {
        let until = below.map_or(Bound::Unbounded, Bound::Excluded);
        let places = self.groups_by_close.range((Bound::Unbounded, until)).rev();
        places.map(|place| &self.groups[&*place.ticker])
    }

    pub(crate) fn series(&self) -> &BTreeMap<String, Series> {
        &self.series
    }

    pub(crate) fn book(&self, ticker: &str) -> Option<&Book> {
        self.books.get(ticker)
    }

    pub(crate) fn set_book(&mut self, ticker: &str, mut book: Book) {
        book.sort();
        self.books.insert(ticker.to_owned(), book);
    }

    /// Adds a series, or changes its title.
    pub(crate) fn add_series(&mut self, ticker: &str, title: &str, now_us: i64) {
        let series = self.series.entry(ticker.to_owned()).or_default();
        title.clone_into(&mut series.title);
        series.updated_us = now_us;
        series.is_implicit = false;
    }

    /// Adds an event, or changes its title and moves it, with its markets, to this series.
    pub(crate) fn add_group(
        &mut self,
        ticker: &str,
        series_ticker: &str,
        title: &str,
        now_us: i64,
    ) {
        self.ensure_group(ticker, series_ticker, now_us, false);
        let group = self.groups.get_mut(ticker).expect("just made sure of");
        title.clone_into(&mut group.title);
        group.updated_us = now_us;
        let old_series = std::mem::replace(&mut group.series_ticker, series_ticker.to_owned());
        if old_series == series_ticker {
            return;
        }
        let markets = group.markets.clone();
        self.ensure_series(series_ticker, now_us, false);
        if let Some(old) = self.series.get_mut(&old_series) {
            old.markets.retain(|place, _| !markets.contains_key(place));
            old.group_count -= 1;
        }
        self.drop_series_if_idle(&old_series);
        let series = self.series.get_mut(series_ticker).expect("just made sure of");
        series.markets.extend(markets);
        series.group_count += 1;
    }

    /// Adds a market, or replaces the one of its name. Its event and series are made up if they are not known.
    pub(crate) fn insert(&mut self, market: Market, is_implicit: bool, now_us: i64) {
        self.take(&market.ticker);
        self.removed.remove(&market.ticker);
        let series_by_name = market::series_by_name(&market.event_ticker);
        self.ensure_group(&market.event_ticker, series_by_name, now_us, is_implicit);
        let place = Place::of(&market);
        let listed = Arc::new(Listed { place: place.clone(), market, is_implicit });
        let market = &listed.market;
        let group = self.groups.get_mut(&market.event_ticker).expect("just made sure of");
        self.groups_by_close.remove(&group.place());
        group.markets.insert(place.clone(), Arc::clone(&listed));
        group.closes.insert((market.close_us, Arc::clone(&place.ticker)));
        group.is_combo |= market.is_combo;
        self.groups_by_close.insert(group.place());
        let series = self.series.get_mut(&group.series_ticker).expect("every event has a series");
        series.markets.insert(place.clone(), Arc::clone(&listed));
        self.newest.insert(place, Arc::clone(&listed));
        self.by_ticker.insert(market.ticker.clone(), listed);
    }

    /// Removes a market for good.
    pub(crate) fn remove(&mut self, ticker: &str) {
        self.take(ticker);
        self.removed.insert(ticker.to_owned());
        self.books.remove(ticker);
    }

    /// Notes that a market has a trade. A market that was never added exists then, since a day before its first trade.
    pub(crate) fn note_trade(&mut self, ticker: &str, created_us: i64, now_us: i64) {
        const DAY_US: i64 = 86_400_000_000;
        let open_us = created_us.saturating_sub(DAY_US);
        let close_us = match self.by_ticker.get(ticker) {
            Some(listed) if !listed.is_implicit || listed.market.open_us <= open_us => return,
            Some(listed) => listed.market.close_us,
            None if self.removed.contains(ticker) => return,
            None => now_us.max(created_us).saturating_add(365 * DAY_US),
        };
        let mut market = Market::new(ticker, market::event_by_name(ticker), open_us, close_us);
        market.status = Some(market::Status::Active);
        self.insert(market, true, now_us);
    }

    /// Removes a market from every list, and its event and series if only this market made them known.
    fn take(&mut self, ticker: &str) -> Option<Arc<Listed>> {
        let listed = self.by_ticker.remove(ticker)?;
        self.newest.remove(&listed.place);
        let event_ticker = &listed.market.event_ticker;
        let group = self.groups.get_mut(event_ticker).expect("every market has an event");
        self.groups_by_close.remove(&group.place());
        group.markets.remove(&listed.place);
        group.closes.remove(&(listed.market.close_us, Arc::clone(&listed.place.ticker)));
        self.groups_by_close.insert(group.place());
        let series_ticker = group.series_ticker.clone();
        let is_idle = group.is_implicit && group.markets.is_empty();
        let place = group.place();
        let series = self.series.get_mut(&series_ticker).expect("every event has a series");
        series.markets.remove(&listed.place);
        if is_idle {
            series.group_count -= 1;
            self.groups_by_close.remove(&place);
            self.groups.remove(event_ticker);
            self.drop_series_if_idle(&series_ticker);
        }
        Some(listed)
    }

    fn ensure_group(&mut self, ticker: &str, series_ticker: &str, now_us: i64, is_implicit: bool) {
        if let Some(group) = self.groups.get_mut(ticker) {
            group.is_implicit &= is_implicit;
            let series_ticker = group.series_ticker.clone();
            return self.ensure_series(&series_ticker, now_us, is_implicit);
        }
        self.ensure_series(series_ticker, now_us, is_implicit);
        self.series.get_mut(series_ticker).expect("just made sure of").group_count += 1;
        let group = Group {
            ticker: ticker.to_owned(),
            series_ticker: series_ticker.to_owned(),
            title: format!("What about {ticker}?"),
            updated_us: now_us,
            is_implicit,
            ..Group::default()
        };
        self.groups_by_close.insert(group.place());
        self.groups.insert(ticker.to_owned(), group);
    }

    fn ensure_series(&mut self, ticker: &str, now_us: i64, is_implicit: bool) {
        let series = self.series.entry(ticker.to_owned()).or_insert_with(|| Series {
            title: format!("All of {ticker}"),
            updated_us: now_us,
            is_implicit,
            ..Series::default()
        });
        series.is_implicit &= is_implicit;
    }

    fn drop_series_if_idle(&mut self, ticker: &str) {
        if self.series.get(ticker).is_some_and(|old| old.is_implicit && old.group_count == 0) {
            self.series.remove(ticker);
        }
    }
}
