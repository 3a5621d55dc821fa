//! `GET /markets`, `/events`, `/series` and related routes: the existing markets, and the order books.

use super::venue::is_combo;
use std::collections::HashSet;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};

use super::client::{Client, Get};
use super::decode_market::{self, BookAnswer, MarketsPage};
use crate::clock::Clock;
use crate::domain::market::{EventRecord, Market};
use crate::domain::ticker::Ticker;
use crate::domain::tier::Tier;
use crate::domain::time::Timestamp;
use crate::failure::{Failure, Kind};

/// The number of tickers in one request. 500 worked in a trial, and 800 made the URL too long.
pub const MARKETS_PER_REQUEST: usize = 100;

/// A page of 1,000 markets is about 3 MB.
const LIST_BYTES_MAX: u64 = 32 * 1024 * 1024;
const MARKETS_PER_PAGE: usize = 1_000;

/// The characters that most tickers consist of; all others are encoded in a path.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The filter of a list of markets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarketList {
    /// Only markets of this event.
    pub event: Option<Ticker>,
    /// Only markets of this series.
    pub series: Option<Ticker>,
    /// Only these markets, at most [`MARKETS_PER_REQUEST`].
    pub tickers: Vec<Ticker>,
    /// `unopened`, `open`, `paused`, `closed` or `settled`; the archive has no such filter.
    pub status: Option<&'static str>,
    /// Only markets changed after this Unix second; never together with combos.
    pub updated_after: Option<i64>,
    /// Only markets that close at this Unix second or later; without a status.
    pub closing_from: Option<i64>,
    /// Only markets that settled at this Unix second or later; only with `settled`.
    pub settled_from: Option<i64>,
    /// Whether the list may hold combos (multivariate markets).
    pub with_combos: bool,
    /// Whether to ask the archive: markets that settled some sixty days ago.
    pub is_archived: bool,
    /// The most rows of a page.
    pub page_rows: usize,
}

impl MarketList {
    /// All live markets but combos.
    pub const ALL: MarketList = MarketList {
        event: None,
        series: None,
        tickers: Vec::new(),
        status: None,
        updated_after: None,
        closing_from: None,
        settled_from: None,
        with_combos: false,
        is_archived: false,
        page_rows: MARKETS_PER_PAGE,
    };

    /// The list of these markets, whatever their status.
    pub fn named(tickers: &[Ticker]) -> MarketList {
        MarketList { tickers: tickers.to_vec(), with_combos: true, ..MarketList::ALL }
    }

    /// This list, but of the archive.
    #[must_use]
    pub fn archived(mut self) -> MarketList {
        self.is_archived = true;
        self.status = None;
        self.updated_after = None;
        self.closing_from = None;
        self.settled_from = None;
        self
    }

    /// Checks the rows of an answer against the question. A row that was not asked for means that the exchange ignored
    /// the filter, and then nothing of the answer is believed. Rows do not show their series.
    fn refuse_foreign(&self, page: &MarketsPage) -> Result<(), Failure> {
        let is_foreign_event =
            |event: &str| self.event.as_ref().is_some_and(|asked| asked.as_str() != event);
        let by_event = page
            .markets
            .iter()
            .map(|row| &row.market)
            .find(|row| is_foreign_event(&row.event_ticker));
        let is_foreign = |ticker: &&Ticker| !self.tickers.contains(ticker);
        let by_name = page.tickers.iter().find(|t| !self.tickers.is_empty() && is_foreign(t));
        match by_event.map(|market| &market.ticker).or(by_name) {
            Some(foreign) => Err(foreign_row(foreign.as_str(), &self.about())),
            None => Ok(()),
        }
    }

    /// Removes the rows that the filters should have removed.
    pub fn keep(&self, page: &mut MarketsPage) {
        let is_late = |at: Option<Timestamp>, from: Option<i64>| {
            from.is_none_or(|from| at.is_none_or(|at| at.second() >= from))
        };
        let is_asked = |market: &Market| {
            is_late(market.close_time, self.closing_from)
                && is_late(market.settlement_time, self.settled_from)
                && (self.status != Some("open") || market.status.may_trade())
                && (self.with_combos || !is_combo(&market.ticker))
        };
        let (kept, strange): (Vec<_>, Vec<_>) =
            std::mem::take(&mut page.markets).into_iter().partition(|row| is_asked(&row.market));
        page.markets = kept;
        let strange: HashSet<Ticker> = strange.into_iter().map(|row| row.market.ticker).collect();
        page.tickers.retain(|ticker| !strange.contains(ticker));
    }

    fn query(&self, cursor: Option<&str>) -> Vec<(&'static str, String)> {
        let mut query = vec![("limit", self.page_rows.to_string())];
        query.extend(self.event.as_ref().map(|event| ("event_ticker", event.to_string())));
        query.extend(self.series.as_ref().map(|series| ("series_ticker", series.to_string())));
        if !self.tickers.is_empty() {
            query.push(("tickers", joined(&self.tickers)));
        }
        query.extend(self.status.map(|status| ("status", status.to_owned())));
        for (name, second) in [
            ("min_updated_ts", self.updated_after),
            ("min_close_ts", self.closing_from),
            ("min_settled_ts", self.settled_from),
        ] {
            query.extend(second.map(|second| (name, second.to_string())));
        }
        if !self.with_combos {
            query.push(("mve_filter", "exclude".to_owned()));
        }
        query.extend(cursor.map(|cursor| ("cursor", cursor.to_owned())));
        query
    }

    fn about(&self) -> String {
        match (&self.series, &self.event, &self.tickers[..]) {
            (Some(series), _, _) => format!("the series {series}"),
            (None, Some(event), _) => format!("the event {event}"),
            (None, None, [only]) => only.to_string(),
            (None, None, []) => "all markets".to_owned(),
            (None, None, [first, rest @ ..]) => format!("{first} and {} more", rest.len()),
        }
    }
}

impl Client {
    /// Asks for one page of a list of markets.
    pub fn markets(
        &self,
        list: &MarketList,
        cursor: Option<&str>,
        left: Duration,
        clock: &dyn Clock,
    ) -> Result<MarketsPage, Failure> {
        let path = if list.is_archived { "/historical/markets" } else { "/markets" };
        let about = list.about();
        let question = list_question(path, list.query(cursor), &about);
        self.get(&question, left, clock, |body, answered_at| {
            let mut page = decode_market::markets(body, answered_at)?;
            list.refuse_foreign(&page)?;
            if let Some(series) = &list.series {
                for sighting in &mut page.markets {
                    sighting.market.series = Some(series.as_str().into());
                }
            }
            Ok(page.seen_by(self.given_by(clock)))
        })
    }

    /// Asks for one market by its own route, live or archived, whatever its name. The result is a page with it, or
    /// `None` when that tier does not know it.
    pub fn market(
        &self,
        ticker: &Ticker,
        tier: Tier,
        left: Duration,
        clock: &dyn Clock,
    ) -> Result<Option<MarketsPage>, Failure> {
        let directory = match tier {
            Tier::Live => "/markets/",
            Tier::Archive => "/historical/markets/",
        };
        let path = format!("{directory}{}", in_path(ticker));
        let question = list_question(&path, Vec::new(), ticker.as_str());
        let answer = self.get(&question, left, clock, |body, answered_at| {
            let page = decode_market::market_of(body, ticker, answered_at)?;
            Ok(page.map(|page| page.seen_by(self.given_by(clock))))
        });
        unless_unknown(answer)
    }

    /// Asks for one event by its own route, whatever its name; `None` when the exchange does not know it.
    pub fn event(
        &self,
        event: &Ticker,
        left: Duration,
        clock: &dyn Clock,
    ) -> Result<Option<EventRecord>, Failure> {
        let path = format!("/events/{}", in_path(event));
        let question = list_question(&path, Vec::new(), event.as_str());
        let answer =
            self.get(&question, left, clock, |body, _| decode_market::event_of(body, event));
        unless_unknown(answer)
    }

    /// Asks for at most [`MARKETS_PER_REQUEST`] events by ticker. The answer holds the known ones.
    pub fn events(
        &self,
        events: &[Ticker],
        are_combos: bool,
        left: Duration,
        clock: &dyn Clock,
    ) -> Result<Vec<EventRecord>, Failure> {
        let path = if are_combos { "/events/multivariate" } else { "/events" };
        let query = vec![("limit", "200".to_owned()), ("tickers", joined(events))];
        let about = format!("{} events", events.len());
        let question = list_question(path, query, &about);
        let (events, first_unreadable) =
            self.get(&question, left, clock, |body, _| decode_market::events(body))?;
        if let Some(reason) = first_unreadable {
            log::warn!("the description of an event could not be read: {reason}");
        }
        Ok(events)
    }

    /// Asks for the order books of at most [`MARKETS_PER_REQUEST`] markets. A market that the exchange does not know,
    /// or that is settled, has an empty book.
    pub fn books(
        &self,
        markets: &[Ticker],
        left: Duration,
        clock: &dyn Clock,
    ) -> Result<BookAnswer, Failure> {
        // The parameter is repeated: the exchange takes a list with commas for one unknown ticker.
        let query = markets.iter().map(|ticker| ("tickers", ticker.to_string())).collect();
        let about = format!("{} markets", markets.len());
        let question = list_question("/markets/orderbooks", query, &about);
        self.get(&question, left, clock, |body, _| {
            decode_market::books(body, markets, self.exchange_now(clock))
        })
    }
}

/// A ticker as a part of a path.
pub(super) fn in_path(ticker: &Ticker) -> PercentEncode<'_> {
    utf8_percent_encode(ticker.as_str(), IN_PATH)
}

/// Turns the refusal of an unknown name into `None`. The exchange refuses an unknown name with 404, and an unusual one
/// with 400.
fn unless_unknown<T>(answer: Result<Option<T>, Failure>) -> Result<Option<T>, Failure> {
    match answer {
        Err(failure) if matches!(failure.status, Some(400 | 404)) => Ok(None),
        answer => answer,
    }
}

/// The failure when the answer is about something else.
pub(super) fn foreign_row(row: &str, asked: &str) -> Failure {
    let message = format!("the answer holds {row}, which was not asked for: {asked} was");
    Failure::new(Kind::ExchangeUnreadable, message)
}

pub(super) fn list_question<'a>(
    path: &'a str,
    query: Vec<(&'static str, String)>,
    about: &'a str,
) -> Get<'a> {
    Get { path: path.into(), query, about, body_bytes_max: LIST_BYTES_MAX, answered_also_with: &[] }
}

/// The tickers as a list names them. A request finds only those that [are listable](Ticker::is_listable).
pub(super) fn joined(tickers: &[Ticker]) -> String {
    tickers.iter().map(Ticker::as_str).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An hour in 2026; the tests count seconds from it.
    const SUMMER: i64 = 1_785_000_000;

    /// A page of markets of the event `KX-26`, each with its closing time, its settlement time and its status.
    fn page(rows: &[(&str, i64, Option<i64>, &str)]) -> MarketsPage {
        let at = |second: i64| Timestamp::from_seconds(SUMMER + second).to_string();
        let row = |(ticker, closes, settled, status): &(&str, i64, Option<i64>, &str)| {
            let settled = settled.map_or("null".to_owned(), |second| format!("{:?}", at(second)));
            format!(
                r#"{{"ticker":"{ticker}","event_ticker":"KX-26","status":"{status}","close_time":"{}","settlement_ts":{settled}}}"#,
                at(*closes)
            )
        };
        let rows: Vec<String> = rows.iter().map(row).collect();
        let body = format!(r#"{{"markets":[{}],"cursor":""}}"#, rows.join(","));
        decode_market::markets(body.as_bytes(), Timestamp::from_seconds(0)).unwrap()
    }

    fn ticker(name: &str) -> Ticker {
        Ticker::new(name).unwrap()
    }

    fn names(page: &MarketsPage) -> Vec<&str> {
        page.markets.iter().map(|row| row.market.ticker.as_str()).collect()
    }

    #[test]
    fn a_list_that_holds_what_was_not_asked_for_is_refused() {
        let found = page(&[("KX-26-A", 10, None, "active"), ("KX-26-B", 10, None, "active")]);
        let of_event = |name| MarketList { event: Some(ticker(name)), ..MarketList::ALL };
        let both = [ticker("KX-26-A"), ticker("KX-26-B"), ticker("KX-26-C")];
        for fits in [MarketList::ALL, of_event("KX-26"), MarketList::named(&both)] {
            assert!(fits.refuse_foreign(&found).is_ok(), "{fits:?}");
        }
        let failure = of_event("KX-27").refuse_foreign(&found).unwrap_err();
        assert!(failure.to_string().contains("KX-26-A, which was not asked for: the event KX-27"));
        let failure = MarketList::named(&both[..1]).refuse_foreign(&found).unwrap_err();
        assert!(failure.to_string().contains("KX-26-B, which was not asked for: KX-26-A"));
        assert_eq!(failure.kind, Kind::ExchangeUnreadable);
    }

    #[test]
    fn what_a_filter_should_have_left_out_is_left_out() {
        let rows = [
            ("KX-26-EARLY", 99, Some(99), "finalized"),
            ("KX-26-EDGE", 100, Some(100), "active"),
            ("KXMVE-26-COMBO", 100, None, "active"),
        ];
        let kept = |list: &MarketList| {
            let mut found = page(&rows);
            list.keep(&mut found);
            let tickers: Vec<&str> = found.tickers.iter().map(Ticker::as_str).collect();
            assert_eq!(names(&found), tickers, "both tell the same");
            names(&found).into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        let all = MarketList { with_combos: true, ..MarketList::ALL };
        assert_eq!(kept(&all), ["KX-26-EARLY", "KX-26-EDGE", "KXMVE-26-COMBO"]);
        assert_eq!(kept(&MarketList::ALL), ["KX-26-EARLY", "KX-26-EDGE"], "no combos");
        let closing = MarketList { closing_from: Some(SUMMER + 100), ..all.clone() };
        assert_eq!(kept(&closing), ["KX-26-EDGE", "KXMVE-26-COMBO"]);
        let settled = MarketList { settled_from: Some(SUMMER + 100), ..all.clone() };
        assert_eq!(kept(&settled), ["KX-26-EDGE", "KXMVE-26-COMBO"], "unknown is not early");
        let open = MarketList { status: Some("open"), ..all.clone() };
        assert_eq!(kept(&open), ["KX-26-EDGE", "KXMVE-26-COMBO"]);
        let over = MarketList { status: Some("settled"), ..all };
        assert_eq!(kept(&over).len(), 3, "of other states the exchange is believed");
    }

    #[test]
    fn a_question_names_what_it_asks_for_and_nothing_else() {
        let asked = |list: &MarketList, cursor: Option<&str>| -> Vec<String> {
            list.query(cursor).into_iter().map(|(name, value)| format!("{name}={value}")).collect()
        };
        assert_eq!(asked(&MarketList::ALL, None), ["limit=1000", "mve_filter=exclude"]);
        let named = MarketList::named(&[ticker("A"), ticker("B")]);
        assert_eq!(asked(&named, Some("c1")), ["limit=1000", "tickers=A,B", "cursor=c1"]);
        let settled = MarketList {
            series: Some(ticker("KX")),
            status: Some("settled"),
            settled_from: Some(5),
            ..MarketList::ALL
        };
        let wanted = ["limit=1000", "series_ticker=KX", "status=settled", "min_settled_ts=5"];
        assert_eq!(asked(&settled, None)[..4], wanted);
        assert_eq!(
            asked(&settled.archived(), None)[1..],
            ["series_ticker=KX", "mve_filter=exclude"]
        );
    }

    #[test]
    fn only_a_refusal_says_that_something_is_unknown() {
        let failed = |status: u16| {
            let failure = Failure::new(Kind::ExchangeUnavailable, "it said so").with_status(status);
            unless_unknown::<u8>(Err(failure))
        };
        for status in [400, 404] {
            assert_eq!(failed(status).unwrap(), None, "{status}");
        }
        for status in [401, 403, 429, 500, 503] {
            assert_eq!(failed(status).unwrap_err().status, Some(status));
        }
        let silent = Failure::new(Kind::ExchangeUnavailable, "nothing was answered");
        assert!(unless_unknown::<u8>(Err(silent)).is_err());
        assert_eq!(unless_unknown(Ok(Some(7))).unwrap(), Some(7));
    }

    #[test]
    fn a_list_is_told_by_what_it_is_of() {
        let of = |list: MarketList| list.about();
        assert_eq!(of(MarketList::ALL), "all markets");
        assert_eq!(
            of(MarketList { series: Some(ticker("KX")), ..MarketList::ALL }),
            "the series KX"
        );
        assert_eq!(of(MarketList::named(&[ticker("A")])), "A");
        assert_eq!(of(MarketList::named(&[ticker("A"), ticker("B")])), "A and 1 more");
    }
}
