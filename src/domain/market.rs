//! A market's metadata as the exchange tells it, and what is remembered of it between passes.

use super::page::Traded;
use super::ticker::Ticker;
use super::time::Timestamp;
use super::trade::Price;

/// Where a market is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Made, not open yet.
    Initialized,
    /// Trading is halted.
    Inactive,
    /// Trading.
    Active,
    /// Past its close, result unknown.
    Closed,
    /// The result is known, not paid.
    Determined,
    /// The result is contested.
    Disputed,
    /// The result was corrected.
    Amended,
    /// Paid out: nothing changes any more.
    Finalized,
    /// Our own word: the exchange does not know the market any more (delisted, provisional).
    Vanished,
    /// A word of the exchange's that we do not know.
    Other(Box<str>),
}

impl Status {
    /// Reads the exchange's word, or our own.
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

    /// As stored.
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

    /// Whether the market may trade now, as far as its status says.
    pub fn may_trade(&self) -> bool {
        matches!(self, Status::Active | Status::Inactive | Status::Initialized | Status::Other(_))
    }

    /// Whether nothing can happen to the market any more.
    pub fn is_over(&self) -> bool {
        matches!(self, Status::Finalized | Status::Vanished)
    }
}

/// What the exchange says about a market.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Market {
    /// The market.
    pub ticker: Ticker,
    /// The exchange's event that the market is an outcome of.
    pub event_ticker: Box<str>,
    /// The event's series; a market does not name it, and its ticker does not always begin with it.
    pub series: Option<Box<str>>,
    /// For people.
    pub title: Option<Box<str>>,
    /// Where it is in its life.
    pub status: Status,
    /// `yes`, `no` or `scalar` once determined.
    pub result: Option<Box<str>>,
    /// When trading begins.
    pub open_time: Option<Timestamp>,
    /// When trading ends; it can be moved.
    pub close_time: Option<Timestamp>,
    /// When the exchange expects the result.
    pub expected_expiration_time: Option<Timestamp>,
    /// When it has to be there.
    pub latest_expiration_time: Option<Timestamp>,
    /// When it was settled.
    pub settlement_time: Option<Timestamp>,
    /// What one YES contract paid, once determined.
    pub settlement_value: Option<Price>,
    /// Lifetime volume in 0.01 contract.
    pub volume_e2: Option<i64>,
    /// The label of its price grid.
    pub price_level_structure: Option<Box<str>>,
    /// The exchange's own JSON, byte for byte.
    pub payload: Box<str>,
}

/// A market as one answer showed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// What it said.
    pub market: Market,
    /// The answer's `Date`: an older answer (from a cache) does not overwrite a newer one.
    pub seen_at: Timestamp,
}

/// A known market that the exchange was asked for and did not name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absence {
    /// The market.
    pub ticker: Ticker,
    /// Whether that is now believed: its status becomes [`Status::Vanished`].
    pub is_believed: bool,
}

/// What is remembered of a market: as much as a pass decides by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The market.
    pub ticker: Ticker,
    /// As last seen.
    pub status: Status,
    /// Whether its series is on record.
    pub has_series: bool,
    /// As last seen.
    pub open_time: Option<Timestamp>,
    /// As last seen.
    pub close_time: Option<Timestamp>,
    /// As last seen.
    pub settlement_time: Option<Timestamp>,
    /// Exchange time of the answer that first said it was over; `None` until then.
    pub ended_at: Option<Timestamp>,
    /// Exchange time when it was last asked for by name or stored.
    pub checked_at: Timestamp,
    /// Exchange time when it was first not found, if it was not found since.
    pub missing_since: Option<Timestamp>,
    /// Its lifetime volume in 0.01 contract, as last seen…
    pub volume_e2: Option<i64>,
    /// …by the answer of this exchange time.
    pub seen_at: Timestamp,
}

/// What is remembered of an entry of the selection that stands for many markets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchRecord {
    /// Its name, such as `series:KXBTCD`.
    pub watch: String,
    /// Our clock when it was first selected.
    pub first_selected_at: Timestamp,
    /// Evidence: the instant up to which the exchange last said what belongs to it, by the date of its
    /// answer and never later than our own clock.
    pub resolved_at: Option<Timestamp>,
    /// Our clock when the metadata of its markets was last synced to the end.
    pub synced_at: Option<Timestamp>,
    /// Evidence: changes after this instant are for the next sync.
    pub synced_until: Option<Timestamp>,
    /// Our clock when the exchange last showed that there is such a thing.
    pub known_at: Option<Timestamp>,
    /// Our clock when two different questions last agreed that it has no market now.
    pub empty_at: Option<Timestamp>,
    /// The markets that were found to belong to it and are not retired, sorted.
    pub members: Vec<Ticker>,
}

/// What a pass learnt about an entry of the selection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchChange {
    /// Its name.
    pub watch: String,
    /// Set when the exchange answered; `None` leaves what is recorded.
    pub resolved_at: Option<Timestamp>,
    /// Our clock and the evidence of a finished sync, which a list of nothing does not give; `None`
    /// leaves what is recorded.
    pub synced: Option<(Timestamp, Option<Timestamp>)>,
    /// Set when the exchange showed it; `None` leaves what is recorded.
    pub known_at: Option<Timestamp>,
    /// Set when it was agreed that it has no market; `None` leaves what is recorded.
    pub empty_at: Option<Timestamp>,
    /// Markets that belong to it from now on.
    pub joined: Vec<Ticker>,
    /// Markets that need not be remembered any more.
    pub left: Vec<Ticker>,
}

/// A mark of a sync that was found false.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FalseMark {
    /// The record that held it.
    pub watch: String,
    /// The instant that it claimed.
    pub claimed: Timestamp,
    /// Why it is not believed.
    pub reason: &'static str,
}

/// A name of the selection that the exchange said it does not know. It is told on every pass, and
/// asked for again ever more rarely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The name, such as `series:KXTYPO`.
    pub name: String,
    /// Our clock when it was first refused.
    pub first_refused_at: Timestamp,
    /// Our clock when the exchange was last asked.
    pub checked_at: Timestamp,
}

/// An event of the exchange, which groups markets, and its series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRecord {
    /// The event's ticker.
    pub event_ticker: Box<str>,
    /// The series it belongs to.
    pub series: Box<str>,
    /// For people.
    pub title: Option<Box<str>>,
}

/// Whose unsettled markets are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarketScope<'a> {
    /// Everybody's.
    All,
    /// Those of a series.
    Series(&'a str),
    /// Those of an event.
    Event(&'a str),
}

impl<'a> MarketScope<'a> {
    /// The series and the event that bound it.
    pub fn names(self) -> (Option<&'a str>, Option<&'a str>) {
        match self {
            MarketScope::All => (None, None),
            MarketScope::Series(series) => (Some(series), None),
            MarketScope::Event(event) => (None, Some(event)),
        }
    }
}

impl Known {
    /// What is remembered after a sighting.
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

    /// Whether it has ever traded, by its own description.
    pub fn traded(&self) -> Traded {
        match self.volume_e2 {
            None => Traded::Unknown,
            Some(0) => Traded::Never(self.seen_at),
            Some(quantity_e2) => Traded::Ever { quantity_e2, as_of: self.seen_at },
        }
    }

    /// What is remembered when the exchange did not name it.
    pub fn missed(&mut self, is_believed: bool, now: Timestamp) {
        self.checked_at = now;
        self.missing_since.get_or_insert(now);
        if is_believed {
            self.status = Status::Vanished;
            self.ended_at = Some(now);
        }
    }
}
