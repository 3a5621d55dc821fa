//! The exchange's descriptions of markets and events.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::engine::{Access, Engine, Statement, Work, statement};
use super::rows::Row;
use super::value::{Rows, Value, values};
use crate::domain::backfill::Lifespan;
use crate::domain::market::{Absence, EventRecord, Known, MarketScope, Sighting, Status, Terms};
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::failure::Failure;

/// The lock of a transaction that compares markets with the record and writes the changes: one at a time.
pub(super) const MARKETS: &str = "markets";

/// The part of a store that is about markets. No call takes more round trips for more markets.
pub trait Markets {
    /// The known facts of markets of a series or an event that are over. At most `count_max` of those that ended at
    /// `ended_after` or later, and at most as many of all; both begin with those that were not asked for for the
    /// longest time.
    fn over_markets(
        &mut self,
        scope: MarketScope<'_>,
        ended_after: Timestamp,
        count_max: usize,
    ) -> Result<Vec<Known>, Failure>;

    /// The records of these events, in any order; events without a record are left out.
    fn series_of_events(&mut self, events: &[Box<str>]) -> Result<Vec<EventRecord>, Failure>;

    /// The known facts of these markets, in any order; markets never seen are left out.
    fn known_markets(&mut self, tickers: &[Ticker]) -> Result<Vec<Known>, Failure>;

    /// The known facts of the markets in scope that are not over, by ticker.
    fn unsettled_markets(&mut self, scope: MarketScope<'_>) -> Result<Vec<Known>, Failure>;

    /// The markets in scope whose life, as far as it is known, touches `[from, until)`, by ticker. With `only`, no
    /// others than these.
    fn lifespans(
        &mut self,
        scope: MarketScope<'_>,
        only: Option<&[Ticker]>,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Lifespan>, Failure>;

    /// Stores markets as seen, each ticker at most once in `seen`, and notes the absence of known ones, in one
    /// transaction. Returns the number of changed statuses.
    ///
    /// Each status that differs from the one on record (a first sighting included) is one row in
    /// `market_status_changes`, also when two processes see it at once. So is each term that differs, in
    /// `market_changes`, but for first sightings. A sighting older than the one on record only
    /// changes `checked_at` and ends the market's absence. A known series is kept when a later sighting does not name
    /// it, and taken from `prediction_events` when that knows it.
    fn save_markets(
        &mut self,
        seen: &[Sighting],
        absent: &[Absence],
        now: Timestamp,
    ) -> Result<u64, Failure>;

    /// The events of stored markets whose series is not on record, sorted.
    fn events_without_series(&mut self) -> Result<Vec<Box<str>>, Failure>;

    /// Stores events, and adds their series to the markets that were stored without one.
    fn save_events(&mut self, events: &[EventRecord], now: Timestamp) -> Result<(), Failure>;
}

impl<E: Engine> Markets for E {
    fn over_markets(
        &mut self,
        scope: MarketScope<'_>,
        ended_after: Timestamp,
        count_max: usize,
    ) -> Result<Vec<Known>, Failure> {
        let (sql, of) = match scope {
            MarketScope::All => return Ok(Vec::new()),
            MarketScope::Series(series) => (statement!("markets", "load_over_series"), series),
            MarketScope::Event(event) => (statement!("markets", "load_over_event"), event),
        };
        load(self, sql, &values![self.source(), of, ended_after, count_max])
    }

    fn series_of_events(&mut self, events: &[Box<str>]) -> Result<Vec<EventRecord>, Failure> {
        let event = |row: Row<'_>| {
            let record = row.of("prediction_events");
            Ok(EventRecord {
                event_ticker: record.get("event_ticker")?,
                series: record.get("series_ticker")?,
                title: record.get("title")?,
            })
        };
        let events = values![self.source(), events];
        self.read("looking for events", statement!("markets", "series_of_events"), &events, event)
    }

    fn known_markets(&mut self, tickers: &[Ticker]) -> Result<Vec<Known>, Failure> {
        load(self, statement!("markets", "load_markets"), &values![self.source(), tickers])
    }

    fn unsettled_markets(&mut self, scope: MarketScope<'_>) -> Result<Vec<Known>, Failure> {
        match scope {
            MarketScope::All => {
                load(self, statement!("markets", "load_unsettled"), &values![self.source()])
            }
            MarketScope::Series(series) => load(
                self,
                statement!("markets", "load_unsettled_series"),
                &values![self.source(), series],
            ),
            MarketScope::Event(event) => load(
                self,
                statement!("markets", "load_unsettled_event"),
                &values![self.source(), event],
            ),
        }
    }

    fn lifespans(
        &mut self,
        scope: MarketScope<'_>,
        only: Option<&[Ticker]>,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Lifespan>, Failure> {
        let (series, event) = scope.names();
        let wanted = values![self.source(), series, event, from, until, only];
        self.read("loading markets", statement!("markets", "load_lifespans"), &wanted, lifespan)
    }

    fn save_markets(
        &mut self,
        seen: &[Sighting],
        absent: &[Absence],
        now: Timestamp,
    ) -> Result<u64, Failure> {
        self.transact("storing markets", Access::Alone(MARKETS), |work| {
            Ok(miss(work, absent, now)? + see(work, seen, now)?)
        })
    }

    fn events_without_series(&mut self) -> Result<Vec<Box<str>>, Failure> {
        let what = "looking for events without a series";
        self.read(
            what,
            statement!("markets", "events_without_series"),
            &values![self.source()],
            |row| row.of("prediction_markets").get("event_ticker"),
        )
    }

    fn save_events(&mut self, events: &[EventRecord], now: Timestamp) -> Result<(), Failure> {
        let described: Rows<'_> = events
            .iter()
            .map(|event| {
                let title = event.title.as_deref().map(storable);
                values![storable(&event.event_ticker), storable(&event.series), title]
            })
            .collect();
        let named: Rows<'_> =
            events.iter().map(|event| values![storable(&event.event_ticker)]).collect();
        self.transact("storing events", Access::Alone(MARKETS), |work| {
            let (source, now) = (values![work.source()], values![now]);
            work.execute_each(statement!("markets", "store_events"), &source, &described, &now)?;
            work.execute_each(statement!("markets", "name_series"), &source, &named, &now)?;
            Ok(())
        })
    }
}

/// Stores the sightings, and returns the number of changed statuses.
fn see(work: &mut dyn Work, seen: &[Sighting], now: Timestamp) -> Result<u64, Failure> {
    let statuses: Rows<'_> = seen.iter().map(status).collect();
    let described: Rows<'_> = seen.iter().map(described).collect();
    let touched = seen.iter().map(|sighting| values![&sighting.market.ticker, sighting.seen_at]);
    let touched: Rows<'_> = touched.collect();
    let terms: Rows<'_> = seen.iter().map(terms).collect();
    let (source, now) = (values![work.source()], values![now]);
    work.execute_each(statement!("markets", "insert_term_changes"), &source, &terms, &now)?;
    let changed =
        work.execute_each(statement!("markets", "insert_changes"), &source, &statuses, &now)?;
    let stored =
        work.execute_each(statement!("markets", "store_markets"), &source, &described, &now)?;
    if stored < u64::try_from(seen.len()).unwrap_or(u64::MAX) {
        work.execute_each(statement!("markets", "touch_markets"), &source, &touched, &now)?;
    }
    Ok(changed)
}

fn status(Sighting { market, seen_at }: &Sighting) -> [Value<'_>; 3] {
    values![&market.ticker, storable(market.status.as_str()), *seen_at]
}

fn terms(Sighting { market, seen_at }: &Sighting) -> [Value<'_>; 3] {
    values![&market.ticker, json(&market.terms), *seen_at]
}

fn described(Sighting { market, seen_at }: &Sighting) -> [Value<'_>; 19] {
    values![
        &market.ticker,
        storable(&market.event_ticker),
        market.series.as_deref().map(storable),
        market.title.as_deref().map(storable),
        storable(market.status.as_str()),
        market.result.as_deref().map(storable),
        market.open_time,
        market.close_time,
        market.expected_expiration_time,
        market.latest_expiration_time,
        market.settlement_time,
        market.settlement_value,
        market.volume_e2,
        market.price_level_structure.as_deref().map(storable),
        &*market.payload,
        *seen_at,
        market.status.is_over(),
        market.yes_label.as_deref().map(storable),
        json(&market.terms),
    ]
}

/// The terms as a JSON object of texts.
fn json(terms: &Terms) -> String {
    let texts = terms.iter().map(|(name, text)| ((*name).to_owned(), storable(text).into()));
    serde_json::Value::Object(texts.collect()).to_string()
}

/// Notes the absences, and returns the number of changed statuses.
fn miss(work: &mut dyn Work, absent: &[Absence], now: Timestamp) -> Result<u64, Failure> {
    let all: Rows<'_> = absent.iter().map(|absence| values![&absence.ticker]).collect();
    // A change of status is one row, also if `absent` names the market twice.
    let believed = absent.iter().filter(|absence| absence.is_believed);
    let believed: BTreeSet<&Ticker> = believed.map(|absence| &absence.ticker).collect();
    let believed: Rows<'_> = believed.into_iter().map(|ticker| values![ticker]).collect();
    let (source, now) = (values![work.source()], values![now]);
    let vanished =
        work.execute_each(statement!("markets", "insert_vanishings"), &source, &believed, &now)?;
    work.execute_each(statement!("markets", "vanish_markets"), &source, &believed, &now)?;
    work.execute_each(statement!("markets", "note_absences"), &source, &all, &now)?;
    Ok(vanished)
}

fn load<E: Engine>(
    engine: &mut E,
    statement: &Statement,
    values: &[Value<'_>],
) -> Result<Vec<Known>, Failure> {
    engine.read("loading markets", statement, values, known)
}

/// Reads a row that has the columns of `load_markets.sql`.
fn known(row: Row<'_>) -> Result<Known, Failure> {
    let record = row.of("prediction_markets");
    Ok(Known {
        ticker: record.ticker("market_ticker")?,
        status: Status::parse(&record.get::<Box<str>>("status")?),
        has_series: record.get("has_series")?,
        open_time: record.get("open_time")?,
        close_time: record.get("close_time")?,
        settlement_time: record.get("settlement_time")?,
        ended_at: record.get("ended_at")?,
        checked_at: record.get("checked_at")?,
        missing_since: record.get("missing_since")?,
        volume_e2: record.get("volume_e2")?,
        seen_at: record.get("observed_at")?,
    })
}

fn lifespan(row: Row<'_>) -> Result<Lifespan, Failure> {
    let record = row.of("prediction_markets");
    Ok(Lifespan {
        market: record.ticker("market_ticker")?,
        series: record.get("series_ticker")?,
        open_time: record.get("open_time")?,
        close_time: record.get("close_time")?,
        status: Status::parse(&record.get::<Box<str>>("status")?),
        volume_e2: record.get("volume_e2")?,
        seen_at: record.get("observed_at")?,
    })
}

/// Text of the exchange in a form that both stores can hold: PostgreSQL's text has no U+0000. The payload keeps the
/// original.
fn storable(words: &str) -> Cow<'_, str> {
    if words.contains('\0') {
        Cow::Owned(words.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(words)
    }
}
