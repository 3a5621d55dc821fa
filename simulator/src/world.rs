//! The world of the simulation: the tape, the clock, the rules.

use std::collections::BTreeSet;

use crate::catalogue::Catalogue;
use crate::clock::ExchangeClock;
use crate::phantom::Phantoms;
use crate::recorded;
use crate::rules::Rules;
use crate::tape::{Event, Key, Tape};
use crate::trade::Trade;

/// Fields of no version of the API, with kinds of values that could confuse a reader.
const EXTRA_FIELDS: [(&str, &str); 3] = [
    ("a_field_of_tomorrow", r#"{"nested":[1,2.50,"three",null]}"#),
    ("exchange_index", "0"),
    ("zz_note", r#""quoted \" and ü""#),
];

/// The simulated world behind an [`Exchange`](crate::Exchange).
/// [`before_each_page`](crate::Exchange::before_each_page) and [`change`](crate::Exchange::change) hand it to
/// functions.
pub struct World {
    /// The behaviour of the exchange; changes take effect with the next answer.
    pub rules: Rules,
    clock: ExchangeClock,
    pub(crate) tape: Tape,
    pub(crate) phantoms: Phantoms,
    pub(crate) catalogue: Catalogue,
    /// Markets that exist and that no list shows.
    pub(crate) unlisted: BTreeSet<String>,
}

impl World {
    pub(crate) fn new(rules: Rules) -> World {
        let clock = ExchangeClock::Running { offset_us: 0 };
        World {
            rules,
            clock,
            tape: Tape::default(),
            phantoms: Phantoms::default(),
            catalogue: Catalogue::default(),
            unlisted: BTreeSet::new(),
        }
    }

    /// Adds a trade of any time. A trade with the same time and id is replaced.
    ///
    /// # Panics
    ///
    /// If the trade cannot be written in its shape, see [`Trade::json`].
    pub fn add(&mut self, trade: Trade) {
        let extra: &[_] = if self.rules.extra_fields { &EXTRA_FIELDS } else { &[] };
        self.insert(Event {
            key: Key { created_us: trade.created_us, trade_id: trade.trade_id.as_str().into() },
            ticker: trade.ticker.clone(),
            is_block_trade: trade.is_block_trade,
            count_e2: trade.count_e2,
            json: trade.json_with(extra).into_bytes().into(),
            trade: Some(trade),
        });
    }

    /// Adds many trades.
    ///
    /// # Panics
    ///
    /// As [`World::add`].
    pub fn add_all(&mut self, trades: impl IntoIterator<Item = Trade>) {
        for trade in trades {
            self.add(trade);
        }
    }

    /// Adds any bytes as an event, valid JSON or not; they are served unchanged at this place of the tape.
    pub fn add_event(
        &mut self,
        ticker: &str,
        created_us: i64,
        trade_id: &str,
        json: impl Into<Vec<u8>>,
    ) {
        self.insert(recorded::event(ticker, created_us, trade_id, json.into()));
    }

    fn insert(&mut self, event: Event) {
        let now_us = self.now_us();
        self.catalogue.note_trade(&event.ticker, event.key.created_us, now_us);
        self.tape.insert(event);
    }

    /// Adds recorded trades, one JSON object on each line, each served byte for byte. Returns their number.
    ///
    /// # Errors
    ///
    /// Names the first line that is not an object with `created_time`, `trade_id` and `ticker`; then nothing is added.
    pub fn load_json_lines(&mut self, text: &str) -> Result<usize, String> {
        let events = recorded::events(text)?;
        let event_count = events.len();
        for event in events {
            self.insert(event);
        }
        Ok(event_count)
    }

    /// The trades of a market that were added as [`Trade`], newest first.
    #[must_use]
    pub fn trades(&self, ticker: &str) -> Vec<Trade> {
        self.tape.events(Some(ticker)).filter_map(|event| event.trade.clone()).collect()
    }

    /// Every trade of the exchange that was added as [`Trade`], newest first.
    #[must_use]
    pub fn all_trades(&self) -> Vec<Trade> {
        self.tape.events(None).filter_map(|event| event.trade.clone()).collect()
    }

    /// The rows of a market as they are served, however they were added, newest first; bytes that are no text are
    /// replaced.
    #[must_use]
    pub fn rows(&self, ticker: &str) -> Vec<String> {
        self.tape
            .events(Some(ticker))
            .map(|event| String::from_utf8_lossy(&event.json).into_owned())
            .collect()
    }

    /// Every market that has, or had, an event; sorted.
    #[must_use]
    pub fn tickers(&self) -> Vec<String> {
        self.tape.tickers()
    }

    /// The exchange's time, microseconds since 1970.
    #[must_use]
    pub fn now_us(&self) -> i64 {
        self.clock.now_us()
    }

    /// Freezes the exchange's clock at this time.
    pub fn set_now(&mut self, us: i64) {
        self.clock = ExchangeClock::Frozen { now_us: us };
    }

    /// Lets the exchange's clock run, this far ahead of the machine's (negative: behind).
    pub fn set_offset_us(&mut self, offset_us: i64) {
        self.clock = ExchangeClock::Running { offset_us };
    }

    /// Moves the clock: a frozen one to a later time, a running one further ahead.
    pub fn advance(&mut self, us: i64) {
        self.clock.advance(us);
    }
}
