//! Decodes bytes to markets, events and order books. One unreadable row does not spoil its list.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::decode::excerpt;
use super::rows::{self, ListBody, RawRow};
use super::terms::terms;
use super::wire::Text;
use crate::domain::book::{Book, Level, Snapshot};
use crate::domain::fixed;
use crate::domain::market::{EventRecord, Market, Sighting, Status};
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::domain::trade::{Price, Quantity};
use crate::failure::{Failure, Kind};

/// One decoded answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarketsPage {
    /// All markets that the answer names.
    pub tickers: Vec<Ticker>,
    /// The markets whose description could be read. They have no series, because the exchange does not name it there.
    pub markets: Vec<Sighting>,
    /// The first reason why a description could not be read.
    pub first_unreadable: Option<String>,
    /// The cursor of the next page; `None` at the end of the list.
    pub cursor: Option<String>,
    /// The answer's `Date`.
    pub exchange_now: Timestamp,
}

/// The order books of some markets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookAnswer {
    /// The order books that could be read.
    pub books: Vec<Snapshot>,
    /// The first reason why an order book could not be read.
    pub first_unreadable: Option<String>,
}

#[derive(serde::Deserialize)]
struct MarketsBody<'a> {
    #[serde(borrow, deserialize_with = "list")]
    markets: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    cursor: Option<Text<'a>>,
}

/// A market. Only the fields that identify it must be there and valid; the payload keeps the others anyway.
#[derive(serde::Deserialize)]
struct MarketBody<'a> {
    #[serde(borrow)]
    ticker: Text<'a>,
    #[serde(borrow)]
    event_ticker: Text<'a>,
    #[serde(borrow)]
    status: Text<'a>,
    #[serde(borrow, default)]
    title: Option<&'a RawValue>,
    #[serde(borrow, default)]
    yes_sub_title: Option<&'a RawValue>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    open_time: Option<&'a RawValue>,
    #[serde(borrow, default)]
    close_time: Option<&'a RawValue>,
    #[serde(borrow, default)]
    expected_expiration_time: Option<&'a RawValue>,
    #[serde(borrow, default)]
    latest_expiration_time: Option<&'a RawValue>,
    #[serde(borrow, default)]
    settlement_ts: Option<&'a RawValue>,
    #[serde(borrow, default)]
    settlement_value_dollars: Option<&'a RawValue>,
    #[serde(borrow, default)]
    volume_fp: Option<&'a RawValue>,
    #[serde(borrow, default)]
    volume: Option<&'a RawValue>,
    #[serde(borrow, default)]
    price_level_structure: Option<&'a RawValue>,
}

/// The answer about one market.
#[derive(serde::Deserialize)]
struct OneMarketBody<'a> {
    #[serde(borrow, deserialize_with = "list")]
    market: Option<&'a RawValue>,
}

/// The answer about one event. Its markets are ignored.
#[derive(serde::Deserialize)]
struct OneEventBody<'a> {
    #[serde(borrow, deserialize_with = "list")]
    event: Option<EventBody<'a>>,
}

/// The fields of a market that are still wanted when the others are unreadable.
#[derive(serde::Deserialize)]
struct MarketKey<'a> {
    #[serde(borrow)]
    ticker: Text<'a>,
}

#[derive(serde::Deserialize)]
struct EventsBody<'a> {
    #[serde(borrow, deserialize_with = "list")]
    events: Option<Vec<&'a RawValue>>,
}

#[derive(serde::Deserialize)]
struct EventBody<'a> {
    #[serde(borrow)]
    event_ticker: Text<'a>,
    #[serde(borrow)]
    series_ticker: Text<'a>,
    #[serde(borrow, default)]
    title: Option<&'a RawValue>,
}

#[derive(serde::Deserialize)]
struct BooksBody<'a> {
    #[serde(borrow, deserialize_with = "list")]
    orderbooks: Option<Vec<&'a RawValue>>,
}

impl<'a> ListBody<'a> for MarketsBody<'a> {
    const NAME: &'static str = "markets";

    fn parts(self) -> (Vec<&'a RawValue>, Option<Text<'a>>) {
        (self.markets.unwrap_or_default(), self.cursor)
    }
}

impl<'a> ListBody<'a> for EventsBody<'a> {
    const NAME: &'static str = "events";

    fn parts(self) -> (Vec<&'a RawValue>, Option<Text<'a>>) {
        (self.events.unwrap_or_default(), None)
    }
}

impl<'a> ListBody<'a> for BooksBody<'a> {
    const NAME: &'static str = "orderbooks";

    fn parts(self) -> (Vec<&'a RawValue>, Option<Text<'a>>) {
        (self.orderbooks.unwrap_or_default(), None)
    }
}

#[derive(serde::Deserialize)]
struct BookBody<'a> {
    #[serde(borrow)]
    ticker: Text<'a>,
    #[serde(borrow)]
    orderbook_fp: &'a RawValue,
}

#[derive(serde::Deserialize)]
struct Sides<'a> {
    #[serde(borrow, deserialize_with = "list")]
    yes_dollars: Option<Vec<(Text<'a>, Text<'a>)>>,
    #[serde(borrow, deserialize_with = "list")]
    no_dollars: Option<Vec<(Text<'a>, Text<'a>)>>,
}

/// A field that must be there but may be null: some answers have null when nothing matches. An answer without the
/// field is about something else, and must not look like an answer that shows nothing.
fn list<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: serde::Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    serde::Deserialize::deserialize(deserializer)
}

pub(super) fn body<'a, T: serde::Deserialize<'a>>(
    bytes: &'a [u8],
    what: &str,
) -> Result<T, Failure> {
    serde_json::from_slice(bytes).map_err(|error| {
        let message = format!("the answer is not {what} ({:?})", excerpt(bytes));
        Failure::new(Kind::ExchangeUnreadable, message).because(error)
    })
}

/// Decodes a page of markets.
pub(super) fn markets(bytes: &[u8], exchange_now: Timestamp) -> Result<MarketsPage, Failure> {
    let list = rows::list::<MarketsBody<'_>>(bytes, "a page of markets")?;
    let mut page = MarketsPage {
        tickers: Vec::new(),
        markets: Vec::new(),
        first_unreadable: None,
        cursor: list.cursor,
        exchange_now,
    };
    for row in &list.rows {
        page.read(row);
    }
    Ok(page)
}

impl MarketsPage {
    /// Limits the time of each sighting to `now`, the present time of the exchange as far as it is known. An answer is
    /// no evidence of the future; with a wrong date it would block all later answers until that date.
    #[must_use]
    pub(super) fn seen_by(mut self, now: Timestamp) -> MarketsPage {
        for sighting in &mut self.markets {
            sighting.seen_at = sighting.seen_at.min(now);
        }
        self
    }

    /// Adds the description of this row.
    pub(super) fn read(&mut self, row: &RawRow<'_>) {
        match sound(row).and_then(market) {
            Ok(market) => {
                self.tickers.push(market.ticker.clone());
                self.markets.push(Sighting { market, seen_at: self.exchange_now });
            }
            Err(reason) => {
                let key: Option<MarketKey<'_>> = serde_json::from_str(legible(row)).ok();
                self.tickers.extend(key.and_then(|key| market_ticker(&key.ticker)));
                self.first_unreadable.get_or_insert(reason);
            }
        }
    }

    /// Adds the descriptions of rows from another answer.
    pub(super) fn read_all(&mut self, rows: &[&RawValue]) {
        for raw in rows {
            self.read(&rows::shallow(raw.get()));
        }
    }
}

/// The JSON of a row, or the reason why it has none.
pub(super) fn sound<'a>(row: &'a RawRow<'_>) -> Result<&'a str, String> {
    match row {
        RawRow::Sound(text) => Ok(text),
        RawRow::Broken(broken) => {
            Err(format!("{} in {:?}", broken.reason, excerpt(broken.legible.as_bytes())))
        }
    }
}

fn legible<'a>(row: &'a RawRow<'_>) -> &'a str {
    match row {
        RawRow::Sound(text) => text,
        RawRow::Broken(broken) => &broken.legible,
    }
}

/// The market `asked` for by its own route, as a page of one row; `None` when the answer says that there is none. An
/// answer about another market is an error.
pub(super) fn market_of(
    bytes: &[u8],
    asked: &Ticker,
    exchange_now: Timestamp,
) -> Result<Option<MarketsPage>, Failure> {
    let wire: OneMarketBody<'_> = body(bytes, "a market")?;
    let Some(raw) = wire.market else { return Ok(None) };
    let (tickers, cursor) = (vec![asked.clone()], None);
    let mut page =
        MarketsPage { tickers, markets: Vec::new(), first_unreadable: None, cursor, exchange_now };
    match sound(&rows::shallow(raw.get())).and_then(market) {
        Ok(market) if market.ticker == *asked => {
            page.markets.push(Sighting { market, seen_at: exchange_now });
        }
        Ok(market) => return Err(foreign(asked, market.ticker.as_str())),
        Err(reason) => page.first_unreadable = Some(reason),
    }
    Ok(Some(page))
}

/// The event `asked` for by its own route; `None` when the answer says that there is none.
pub(super) fn event_of(bytes: &[u8], asked: &Ticker) -> Result<Option<EventRecord>, Failure> {
    let wire: OneEventBody<'_> = body(bytes, "an event")?;
    let Some(event) = wire.event else { return Ok(None) };
    if event.event_ticker.as_str() != asked.as_str() {
        return Err(foreign(asked, event.event_ticker.as_str()));
    }
    let series = Ticker::new(event.series_ticker.as_str()).ok_or_else(|| {
        let message = format!("the series of the event {asked} is no ticker");
        Failure::new(Kind::ExchangeUnreadable, message)
    })?;
    Ok(Some(EventRecord {
        event_ticker: asked.as_str().into(),
        series: series.as_str().into(),
        title: text(event.title).map(|title| Box::from(&*title)),
    }))
}

fn foreign(asked: &Ticker, answered: &str) -> Failure {
    let answered = excerpt(answered.as_bytes());
    let message = format!("{asked} was asked for, and the answer is about {answered}");
    Failure::new(Kind::ExchangeUnreadable, message)
}

/// The ticker of a market; `None` for the name of the tape, which no market of the exchange has.
pub(super) fn market_ticker(text: &Text<'_>) -> Option<Ticker> {
    Ticker::new(text.as_str())
}

fn market(payload: &str) -> Result<Market, String> {
    let wire: MarketBody<'_> = serde_json::from_str(payload)
        .map_err(|error| format!("{error} in {:?}", excerpt(payload.as_bytes())))?;
    let ticker = market_ticker(&wire.ticker)
        .ok_or_else(|| format!("{:?} is no ticker", excerpt(wire.ticker.as_str().as_bytes())))?;
    let event = Ticker::new(wire.event_ticker.as_str()).ok_or_else(|| {
        format!("{:?} is no event", excerpt(wire.event_ticker.as_str().as_bytes()))
    })?;
    let words = |raw| text(raw).filter(|text| !text.is_empty()).map(|text| Box::from(&*text));
    Ok(Market {
        event_ticker: event.as_str().into(),
        series: None,
        title: words(wire.title),
        yes_label: words(wire.yes_sub_title),
        status: Status::parse(wire.status.as_str()),
        result: words(wire.result),
        open_time: instant(wire.open_time),
        close_time: instant(wire.close_time),
        expected_expiration_time: instant(wire.expected_expiration_time),
        latest_expiration_time: instant(wire.latest_expiration_time),
        settlement_time: instant(wire.settlement_ts),
        settlement_value: decimal(wire.settlement_value_dollars, 6).and_then(Price::from_e4_cents),
        volume_e2: decimal(wire.volume_fp, 2).or_else(|| decimal(wire.volume, 2)),
        price_level_structure: words(wire.price_level_structure),
        terms: terms(payload),
        payload: payload.into(),
        ticker,
    })
}

/// A JSON string; anything else counts as absent.
fn text(raw: Option<&RawValue>) -> Option<Cow<'_, str>> {
    let text: Text<'_> = serde_json::from_str(raw?.get()).ok()?;
    Some(text.into_inner())
}

/// An instant. The exchange writes a missing instant as a zero time or as a year far in the future.
fn instant(raw: Option<&RawValue>) -> Option<Timestamp> {
    Timestamp::parse_rfc3339(&text(raw)?).filter(|at| at.is_credible())
}

/// A decimal number, from text or from the digits of a JSON number.
pub(super) fn decimal(raw: Option<&RawValue>, decimals: u32) -> Option<i64> {
    let raw = raw?;
    let text = text(Some(raw)).unwrap_or(Cow::Borrowed(raw.get()));
    fixed::parse(&text, decimals).ok()
}

/// Decodes the events of a page that can be read, and the first reason why one cannot.
pub(super) fn events(bytes: &[u8]) -> Result<(Vec<EventRecord>, Option<String>), Failure> {
    let list = rows::list::<EventsBody<'_>>(bytes, "a page of events")?;
    let (mut events, mut first_unreadable) = (Vec::with_capacity(list.rows.len()), None);
    for row in &list.rows {
        match sound(row).and_then(event) {
            Ok(event) => events.push(event),
            Err(reason) => {
                first_unreadable.get_or_insert(reason);
            }
        }
    }
    Ok((events, first_unreadable))
}

fn event(payload: &str) -> Result<EventRecord, String> {
    let unreadable =
        |error: &dyn std::fmt::Display| format!("{error} in {:?}", excerpt(payload.as_bytes()));
    let wire: EventBody<'_> = serde_json::from_str(payload).map_err(|error| unreadable(&error))?;
    let name = |text: &Text<'_>| {
        let name = Ticker::new(text.as_str()).ok_or_else(|| unreadable(&"a name that is none"))?;
        Ok::<Box<str>, String>(name.as_str().into())
    };
    Ok(EventRecord {
        event_ticker: name(&wire.event_ticker)?,
        series: name(&wire.series_ticker)?,
        title: text(wire.title).map(|title| Box::from(&*title)),
    })
}

/// Decodes the order books of `asked`; other books are left out.
pub(super) fn books(
    bytes: &[u8],
    asked: &[Ticker],
    captured_at: Timestamp,
) -> Result<BookAnswer, Failure> {
    let list = rows::list::<BooksBody<'_>>(bytes, "a list of order books")?;
    let mut answer = BookAnswer { books: Vec::new(), first_unreadable: None };
    for row in &list.rows {
        match sound(row).and_then(|row| snapshot(row, captured_at)) {
            Ok(book) if asked.contains(&book.market) => answer.books.push(book),
            Ok(_) => {}
            Err(reason) => {
                answer.first_unreadable.get_or_insert(reason);
            }
        }
    }
    Ok(answer)
}

fn snapshot(payload: &str, captured_at: Timestamp) -> Result<Snapshot, String> {
    let unreadable =
        |error: &dyn std::fmt::Display| format!("{error} in {:?}", excerpt(payload.as_bytes()));
    let wire: BookBody<'_> = serde_json::from_str(payload).map_err(|error| unreadable(&error))?;
    let market = market_ticker(&wire.ticker).ok_or_else(|| unreadable(&"no ticker"))?;
    let levels = wire.orderbook_fp.get();
    let sides: Sides<'_> = serde_json::from_str(levels).map_err(|error| unreadable(&error))?;
    let side = |levels: Option<Vec<(Text<'_>, Text<'_>)>>| -> Result<Vec<Level>, String> {
        let read = levels.unwrap_or_default();
        let levels = read.iter().map(|(price, count)| level(price.as_str(), count.as_str()));
        // A level without quantity is left out.
        levels.filter_map(Result::transpose).collect()
    };
    let book = Book::new(
        side(sides.yes_dollars).map_err(|reason| unreadable(&reason))?,
        side(sides.no_dollars).map_err(|reason| unreadable(&reason))?,
    );
    Ok(Snapshot { market, captured_at, figures: book.figures(), levels: levels.into() })
}

fn level(price: &str, count: &str) -> Result<Option<Level>, String> {
    let e4 = fixed::parse(price, 6).map_err(|e| format!("price {price:?} {}", e.words()))?;
    let price =
        Price::from_e4_cents(e4).ok_or_else(|| format!("price {price:?} is above a dollar"))?;
    let e2 = fixed::parse(count, 2).map_err(|e| format!("count {count:?} {}", e.words()))?;
    Ok(Quantity::from_e2(e2).map(|quantity| Level { price, quantity }))
}

#[cfg(test)]
#[path = "decode_market_tests.rs"]
mod tests;
#[cfg(test)]
#[path = "decode_own_route_tests.rs"]
mod own_route_tests;
