//! The metadata of a market from the exchange, and the part of it that is remembered between passes.

use std::collections::BTreeMap;

use super::page::Traded;
use super::ticker::Ticker;
use super::time::Timestamp;
use super::trade::Price;

/// The stage of a market in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// The market is created but not open yet.
    Initialized,
    /// Trading is halted.
    Inactive,
    /// The market trades.
    Active,
    /// The market is past its close, and its result is unknown.
    Closed,
    /// The result is known and not paid.
    Determined,
    /// The result is contested.
    Disputed,
    /// The result was corrected.
    Amended,
    /// The result is paid, and nothing changes any more.
    Finalized,
    /// Our own status: the exchange does not know the market any more (delisted, provisional).
    Vanished,
    /// A status of the exchange that this program does not know.
    Other(Box<str>),
}

impl Status {
    /// Reads a status of the exchange, or our own.
    pub fn parse(word: &str) -> Status {
        match word {
            "initialized" => Status::Initialized,
            "inactive" => Status::Inactive,
            "active" => Status::Active,
            "closed" => Status::Closed,
            "determined" => Status::Determined,
            "disputed" => Status::Disputed,
            "amended" => Status::Amended,
            "finalized" => Status::Finalized,
            "vanished" => Status::Vanished,
            other => Status::Other(other.into()),
        }
    }

    /// The word in the database.
    pub fn as_str(&self) -> &str {
        match self {
            Status::Initialized => "initialized",
            Status::Inactive => "inactive",
            Status::Active => "active",
            Status::Closed => "closed",
            Status::Determined => "determined",
            Status::Disputed => "disputed",
            Status::Amended => "amended",
            Status::Finalized => "finalized",
            Status::Vanished => "vanished",
            Status::Other(word) => word,
        }
    }

    /// Whether the market may trade now, by its status.
    pub fn may_trade(&self) -> bool {
        matches!(self, Status::Active | Status::Inactive | Status::Initialized | Status::Other(_))
    }

    /// Whether nothing can happen to the market any more.
    pub fn is_over(&self) -> bool {
        matches!(self, Status::Finalized | Status::Vanished)
    }
}

/// The description of a market by the exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Market {
    /// The ticker of the market.
    pub ticker: Ticker,
    /// The event of the exchange that the market is an outcome of.
    pub event_ticker: Box<str>,
    /// The series of the event. The description of a market does not name it, and the ticker does not always begin
    /// with it.
    pub series: Option<Box<str>>,
    /// The title, for people.
    pub title: Option<Box<str>>,
    /// The label of YES, such as a strike: the markets of an event share their title.
    pub yes_label: Option<Box<str>>,
    /// The stage of its life.
    pub status: Status,
    /// `yes`, `no` or `scalar` once the result is determined.
    pub result: Option<Box<str>>,
    /// The time when trading begins.
    pub open_time: Option<Timestamp>,
    /// The time when trading ends; the exchange can move it.
    pub close_time: Option<Timestamp>,
    /// The time when the exchange expects the result.
    pub expected_expiration_time: Option<Timestamp>,
    /// The latest time for the result.
    pub latest_expiration_time: Option<Timestamp>,
    /// The time of the settlement.
    pub settlement_time: Option<Timestamp>,
    /// The payment for one YES contract, once the result is determined.
    pub settlement_value: Option<Price>,
    /// Lifetime volume in 0.01 contract.
    pub volume_e2: Option<i64>,
    /// The label of the price grid.
    pub price_level_structure: Option<Box<str>>,
    /// The terms, such as rules and strikes.
    pub terms: Terms,
    /// The exchange's own JSON, byte for byte.
    pub payload: Box<str>,
}

/// The terms of a market that the exchange may change, by the name of the field.
pub type Terms = BTreeMap<&'static str, Box<str>>;

/// The description of a market in one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The description.
    pub market: Market,
    /// The `Date` of the answer: an older answer (from a cache) does not overwrite a newer one.
    pub seen_at: Timestamp,
}

/// A known market that was asked for and that the answer of the exchange did not contain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absence {
    /// The ticker of the market.
    pub ticker: Ticker,
    /// Whether the absence is now believed: the status becomes [`Status::Vanished`].
    pub is_believed: bool,
}

/// The remembered facts about a market: those that a pass decides by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The ticker of the market.
    pub ticker: Ticker,
    /// The status in the last answer.
    pub status: Status,
    /// Whether the series of the market is stored.
    pub has_series: bool,
    /// The opening time in the last answer.
    pub open_time: Option<Timestamp>,
    /// The closing time in the last answer.
    pub close_time: Option<Timestamp>,
    /// The settlement time in the last answer.
    pub settlement_time: Option<Timestamp>,
    /// Exchange time of the answer that first said that the market is over; `None` until then.
    pub ended_at: Option<Timestamp>,
    /// Exchange time when the market was last asked for by name or stored.
    pub checked_at: Timestamp,
    /// Exchange time when the market was first not found; `None` if it was found since.
    pub missing_since: Option<Timestamp>,
    /// The lifetime volume in the last answer, in 0.01 contract.
    pub volume_e2: Option<i64>,
    /// Exchange time of that answer.
    pub seen_at: Timestamp,
}

/// The remembered facts about an entry of the selection that stands for many markets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchRecord {
    /// The name of the entry, such as `series:KXBTCD`.
    pub watch: String,
    /// Our clock when the entry was first selected.
    pub first_selected_at: Timestamp,
    /// Evidence: the instant up to which the exchange last listed the members, by the date of its answer and never
    /// later than our own clock.
    pub resolved_at: Option<Timestamp>,
    /// Our clock when the metadata of the members was last synced to the end.
    pub synced_at: Option<Timestamp>,
    /// Evidence: the next sync asks for changes after this instant.
    pub synced_until: Option<Timestamp>,
    /// Our clock when the exchange last showed that the event or series exists.
    pub known_at: Option<Timestamp>,
    /// Our clock when two different questions last agreed that the entry has no market now.
    pub empty_at: Option<Timestamp>,
    /// The markets that were found to belong to the entry and are not retired, sorted.
    pub members: Vec<Ticker>,
}

/// The facts that a pass learned about an entry of the selection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchChange {
    /// The name of the entry.
    pub watch: String,
    /// Set if the exchange answered; `None` keeps the stored value.
    pub resolved_at: Option<Timestamp>,
    /// Our clock and the evidence of a finished sync; an empty list gives no evidence. `None` keeps the stored value.
    pub synced: Option<(Timestamp, Option<Timestamp>)>,
    /// Set if the exchange showed the event or series; `None` keeps the stored value.
    pub known_at: Option<Timestamp>,
    /// Set if two questions agreed that the entry has no market; `None` keeps the stored value.
    pub empty_at: Option<Timestamp>,
    /// Markets that belong to the entry from now on.
    pub joined: Vec<Ticker>,
    /// Markets that need not be remembered any more.
    pub left: Vec<Ticker>,
}

/// A mark of a sync that was found false.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FalseMark {
    /// The entry whose record held the mark.
    pub watch: String,
    /// The instant that was claimed.
    pub claimed: Timestamp,
    /// The reason why it is not believed.
    pub reason: &'static str,
}

/// A name of the selection that the exchange does not know. Every pass reports it, and passes ask for it ever more
/// rarely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The name, such as `series:KXTYPO`.
    pub name: String,
    /// Our clock when the exchange first refused the name.
    pub first_refused_at: Timestamp,
    /// Our clock when the exchange was last asked for it.
    pub checked_at: Timestamp,
}

/// An event of the exchange, which groups markets, and its series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRecord {
    /// The ticker of the event.
    pub event_ticker: Box<str>,
    /// The series of the event.
    pub series: Box<str>,
    /// The title, for people.
    pub title: Option<Box<str>>,
}

/// The markets that a query of unsettled markets covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarketScope<'a> {
    /// All markets.
    All,
    /// The markets of a series.
    Series(&'a str),
    /// The markets of an event.
    Event(&'a str),
}

impl<'a> MarketScope<'a> {
    /// The series and the event that limit the query.
    pub fn names(self) -> (Option<&'a str>, Option<&'a str>) {
        match self {
            MarketScope::All => (None, None),
            MarketScope::Series(series) => (Some(series), None),
            MarketScope::Event(event) => (None, Some(event)),
        }
    }
}

impl Known {
    /// The remembered facts after a sighting.
    pub fn after(previous: Option<&Known>, sighting: &Sighting, now: Timestamp) -> Known {
        let Sighting { market, seen_at } = sighting;
        let ended_before = previous.and_then(|known| known.ended_at);
        Known {
            ticker: market.ticker.clone(),
            status: market.status.clone(),
            has_series: market.series.is_some() || previous.is_some_and(|known| known.has_series),
            open_time: market.open_time,
            close_time: market.close_time,
            settlement_time: market.settlement_time,
            ended_at: market.status.is_over().then(|| ended_before.unwrap_or(*seen_at)),
            checked_at: now,
            missing_since: None,
            volume_e2: market.volume_e2,
            seen_at: *seen_at,
        }
    }

    /// Whether the market has ever traded, by its own description.
    pub fn traded(&self) -> Traded {
        match self.volume_e2 {
            None => Traded::Unknown,
            Some(0) => Traded::Never(self.seen_at),
            Some(quantity_e2) => Traded::Ever { quantity_e2, as_of: self.seen_at },
        }
    }

    /// Records that the answer of the exchange did not contain the market.
    pub fn missed(&mut self, is_believed: bool, now: Timestamp) {
        self.checked_at = now;
        self.missing_since.get_or_insert(now);
        if is_believed {
            self.status = Status::Vanished;
            self.ended_at = Some(now);
        }
    }
}
