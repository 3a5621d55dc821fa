//! A market as the exchange knows it.

/// One market: a yes-or-no question to trade on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Market {
    /// The name of the market; unique.
    pub ticker: String,
    /// The event of the market.
    pub event_ticker: String,
    /// The question of the market.
    pub title: String,
    /// `created_time`, in microseconds since 1970, as all times here.
    pub created_us: i64,
    /// `updated_time`: the last change that was not a trade.
    pub updated_us: i64,
    /// `open_time`
    pub open_us: i64,
    /// `close_time`
    pub close_us: i64,
    /// `expected_expiration_time`; left out if there is none.
    pub expected_expiration_us: Option<i64>,
    /// `latest_expiration_time`
    pub latest_expiration_us: i64,
    /// `None`: the status follows the clock. It is initialized before `open_us`, then active, and closed from
    /// `close_us` on. `updated_us` does not change then.
    pub status: Option<Status>,
    /// Empty until determined, then `yes`, `no` or `scalar`.
    pub result: String,
    /// The payment for a yes contract, in ten-thousandths of a dollar.
    pub settlement_value_e4: Option<i64>,
    /// `settlement_ts`, once settled.
    pub settled_us: Option<i64>,
    /// Whether the exchange may remove it when it is determined without a trade.
    pub is_provisional: bool,
    /// Whether it is a combo (multivariate, MVE).
    pub is_combo: bool,
    /// The name of its price grid.
    pub price_level_structure: String,
}

/// The stored status of a market; the filter of lists uses other words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Not open yet.
    Initialized,
    /// Paused.
    Inactive,
    /// Open for trading.
    Active,
    /// Past its close.
    Closed,
    /// The result is known.
    Determined,
    /// The result is disputed.
    Disputed,
    /// The result was changed.
    Amended,
    /// Settled.
    Finalized,
}

const DAY_US: i64 = 86_400_000_000;

impl Market {
    /// A market that was created and updated at its opening, and whose status follows the clock.
    #[must_use]
    pub fn new(ticker: &str, event_ticker: &str, open_us: i64, close_us: i64) -> Market {
        Market {
            ticker: ticker.to_owned(),
            event_ticker: event_ticker.to_owned(),
            title: format!("Will {ticker} happen?"),
            created_us: open_us,
            updated_us: open_us,
            open_us,
            close_us,
            expected_expiration_us: Some(close_us),
            latest_expiration_us: close_us.saturating_add(7 * DAY_US),
            status: None,
            result: String::new(),
            settlement_value_e4: None,
            settled_us: None,
            is_provisional: false,
            is_combo: false,
            price_level_structure: "linear_cent".to_owned(),
        }
    }

    /// The status at this time.
    #[must_use]
    pub fn status_at(&self, now_us: i64) -> Status {
        match self.status {
            Some(status) => status,
            None if now_us < self.open_us => Status::Initialized,
            None if now_us < self.close_us => Status::Active,
            None => Status::Closed,
        }
    }
}

impl Status {
    /// The status in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Initialized => "initialized",
            Status::Inactive => "inactive",
            Status::Active => "active",
            Status::Closed => "closed",
            Status::Determined => "determined",
            Status::Disputed => "disputed",
            Status::Amended => "amended",
            Status::Finalized => "finalized",
        }
    }
}

/// The default series of a market or event: the text before the first hyphen.
pub(crate) fn series_by_name(ticker: &str) -> &str {
    ticker.split_once('-').map_or(ticker, |(series, _)| series)
}

/// The default event of a market: the text before the last hyphen.
pub(crate) fn event_by_name(ticker: &str) -> &str {
    ticker.rsplit_once('-').map_or(ticker, |(event, _)| event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_follows_the_clock_unless_it_is_said() {
        let market = Market::new("KXA-1-B", "KXA-1", 10, 20);
        let at = |now_us| market.status_at(now_us).as_str();
        assert_eq!([at(9), at(10), at(19), at(20)], ["initialized", "active", "active", "closed"]);
        let paused = Market { status: Some(Status::Inactive), ..market };
        assert_eq!(paused.status_at(30), Status::Inactive);
    }

    #[test]
    fn names_tell_event_and_series() {
        assert_eq!((event_by_name("KXA-1-B"), series_by_name("KXA-1-B")), ("KXA-1", "KXA"));
        assert_eq!((event_by_name("KXA"), series_by_name("KXA")), ("KXA", "KXA"));
    }
}
