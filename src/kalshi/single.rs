//! The questions that follow when a list shows nothing: about one series or one event, and about the markets of a
//! series by its events.

use super::venue::means_combos;
use std::time::Duration;

use serde_json::value::RawValue;

use super::client::Client;
use super::decode::cursor;
use super::decode_market::{self, MarketsPage};
use super::markets::{foreign_row, in_path, list_question};
use super::wire::Text;
use crate::clock::Clock;
use crate::domain::selection::Target;
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::failure::Failure;

/// Events with their markets are large, so a page has this many.
const EVENTS_PER_PAGE: &str = "200";

/// The answer of `/series/{ticker}` or `/events/{ticker}`: it holds one of the two.
#[derive(serde::Deserialize)]
struct ParentAnswer<'a> {
    #[serde(borrow, default)]
    series: Option<Parent<'a>>,
    #[serde(borrow, default)]
    event: Option<Parent<'a>>,
    #[serde(borrow, default)]
    markets: Option<Vec<&'a RawValue>>,
}

#[derive(serde::Deserialize)]
struct Parent<'a> {
    #[serde(borrow, default)]
    ticker: Option<Text<'a>>,
    #[serde(borrow, default)]
    event_ticker: Option<Text<'a>>,
    #[serde(borrow, default)]
    series_ticker: Option<Text<'a>>,
    #[serde(borrow, default)]
    markets: Option<Vec<&'a RawValue>>,
}

#[derive(serde::Deserialize)]
struct EventsAnswer<'a> {
    #[serde(borrow)]
    events: Option<Vec<Parent<'a>>>,
    #[serde(borrow, default)]
    cursor: Option<Text<'a>>,
}

/// Events of an entry of the selection, with their live markets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventsPage {
    /// The markets of the events; they have no series when one event was asked for.
    pub markets: MarketsPage,
    /// Events that show no live market.
    pub bare: Vec<Ticker>,
}

impl Client {
    /// Whether the exchange knows an event or a series. It is not documented how the exchange denies one: 404, 400, or
    /// nothing under the name.
    pub fn knows(
        &self,
        target: &Target,
        left: Duration,
        clock: &dyn Clock,
    ) -> Result<bool, Failure> {
        let (directory, ticker) = match target {
            Target::Event(event) => ("/events/", event),
            Target::Series(series) => ("/series/", series),
            Target::Market(_) | Target::All => return Ok(true),
        };
        let path = format!("{directory}{}", in_path(ticker));
        let question = list_question(&path, Vec::new(), ticker.as_str());
        let answer = self.get(&question, left, clock, |body, _| {
            let wire: ParentAnswer<'_> = decode_market::body(body, "an event or a series")?;
            let Some(found) = wire.series.or(wire.event) else { return Ok(false) };
            let name = found.event_ticker.or(found.ticker);
            match name.filter(|name| name.as_str() != ticker.as_str()) {
                Some(foreign) => Err(foreign_row(foreign.as_str(), ticker.as_str())),
                None => Ok(true),
            }
        });
        match answer {
            Err(failure) if matches!(failure.status, Some(400 | 404)) => Ok(false),
            answer => answer,
        }
    }

    /// Asks for the events of a series with their live markets, or for one event with its own markets.
    pub fn events_with_markets(
        &self,
        target: &Target,
        cursor: Option<&str>,
        left: Duration,
        clock: &dyn Clock,
    ) -> Result<EventsPage, Failure> {
        let nested = ("with_nested_markets", "true".to_owned());
        let seen = |page: EventsPage| EventsPage {
            markets: page.markets.seen_by(self.given_by(clock)),
            ..page
        };
        match target {
            Target::Series(series) => {
                let directory =
                    if means_combos(target) { "/events/multivariate" } else { "/events" };
                let limit = ("limit", EVENTS_PER_PAGE.to_owned());
                let mut query = vec![limit, ("series_ticker", series.to_string()), nested];
                query.extend(cursor.map(|cursor| ("cursor", cursor.to_owned())));
                let about = format!("the events of {series}");
                let question = list_question(directory, query, &about);
                self.get(&question, left, clock, |body, at| events(body, series, at).map(seen))
            }
            Target::Event(event) => {
                let path = format!("/events/{}", in_path(event));
                let question = list_question(&path, vec![nested], event.as_str());
                self.get(&question, left, clock, |body, at| one_event(body, event, at).map(seen))
            }
            Target::Market(_) | Target::All => {
                Ok(EventsPage { markets: nothing(self.exchange_now(clock)), bare: Vec::new() })
            }
        }
    }
}

fn nothing(exchange_now: Timestamp) -> MarketsPage {
    MarketsPage {
        tickers: Vec::new(),
        markets: Vec::new(),
        first_unreadable: None,
        cursor: None,
        exchange_now,
    }
}

fn events(body: &[u8], series: &Ticker, answered_at: Timestamp) -> Result<EventsPage, Failure> {
    let wire: EventsAnswer<'_> = decode_market::body(body, "a page of events")?;
    let mut page = EventsPage { markets: nothing(answered_at), bare: Vec::new() };
    page.markets.cursor = cursor(wire.cursor.as_ref())?;
    for event in wire.events.unwrap_or_default() {
        let foreign = event.series_ticker.as_ref().filter(|of| of.as_str() != series.as_str());
        if let Some(foreign) = foreign {
            return Err(foreign_row(foreign.as_str(), series.as_str()));
        }
        page.take(event);
    }
    for sighting in &mut page.markets.markets {
        sighting.market.series = Some(series.as_str().into());
    }
    Ok(page)
}

fn one_event(body: &[u8], event: &Ticker, answered_at: Timestamp) -> Result<EventsPage, Failure> {
    let wire: ParentAnswer<'_> = decode_market::body(body, "an event")?;
    let mut page = EventsPage { markets: nothing(answered_at), bare: Vec::new() };
    if let Some(found) = wire.event {
        page.take(found);
    }
    page.markets.read_all(&wire.markets.unwrap_or_default());
    let rows = page.markets.markets.iter().map(|row| &row.market);
    match { rows }.find(|market| *market.event_ticker != *event.as_str()) {
        Some(foreign) => Err(foreign_row(foreign.ticker.as_str(), event.as_str())),
        None => Ok(page),
    }
}

impl EventsPage {
    fn take(&mut self, event: Parent<'_>) {
        let before = self.markets.tickers.len();
        self.markets.read_all(&event.markets.unwrap_or_default());
        if self.markets.tickers.len() == before {
            let name = event.event_ticker.and_then(|name| Ticker::new(name.as_str()));
            self.bare.extend(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_seconds(1_785_000_000);

    fn ticker(text: &str) -> Ticker {
        Ticker::new(text).unwrap()
    }

    #[test]
    fn an_event_that_shows_no_market_is_bare() {
        let market = r#"{"ticker":"KXS-1-A","event_ticker":"KXS-1","status":"active"}"#;
        let body = format!(
            r#"{{"cursor":"c","events":[
                {{"event_ticker":"KXS-1","series_ticker":"KXS","markets":[{market},{{"ticker":"KXS-1-B"}}]}},
                {{"event_ticker":"KXS-2","series_ticker":"KXS"}},
                {{"event_ticker":"KXS-3","series_ticker":"KXS","markets":[]}}]}}"#
        );
        let page = events(body.as_bytes(), &ticker("KXS"), AT).unwrap();
        assert_eq!(page.markets.tickers, [ticker("KXS-1-A"), ticker("KXS-1-B")]);
        assert_eq!(page.markets.markets[0].market.series.as_deref(), Some("KXS"));
        assert_eq!(page.bare, [ticker("KXS-2"), ticker("KXS-3")]);
        assert_eq!(page.markets.cursor.as_deref(), Some("c"));
        assert!(events(body.as_bytes(), &ticker("KXT"), AT).is_err(), "another series' events");
    }

    #[test]
    fn the_markets_of_an_event_are_in_it_or_beside_it() {
        let market = r#"{"ticker":"KXS-1-A","event_ticker":"KXS-1","status":"active"}"#;
        for body in [
            format!(r#"{{"event":{{"event_ticker":"KXS-1","markets":[{market}]}},"markets":[]}}"#),
            format!(r#"{{"event":{{"event_ticker":"KXS-1"}},"markets":[{market}]}}"#),
        ] {
            let page = one_event(body.as_bytes(), &ticker("KXS-1"), AT).unwrap();
            assert_eq!(page.markets.tickers, [ticker("KXS-1-A")], "{body}");
            assert!(one_event(body.as_bytes(), &ticker("KXS-2"), AT).is_err(), "{body}");
        }
    }
}
