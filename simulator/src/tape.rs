//! All events of the exchange, rendered once and kept in order: the whole tape, and one tape for each market; both
//! share their rows.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use crate::trade::Trade;

/// The position of an event: by time, then by the bytes of its trade id. Pages run downwards.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) created_us: i64,
    pub(crate) trade_id: Arc<str>,
}

impl Key {
    /// The key below every event of this microsecond.
    fn start_of(created_us: i64) -> Key {
        Key { created_us, trade_id: "".into() }
    }
}

#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) key: Key,
    pub(crate) ticker: String,
    pub(crate) is_block_trade: bool,
    /// The count in hundredths of a contract; 0 if the event does not show it.
    pub(crate) count_e2: u64,
    /// The row exactly as it is served.
    pub(crate) json: Box<[u8]>,
    /// The trade, if the event was added as a trade and not as JSON.
    pub(crate) trade: Option<Trade>,
}

/// The events that a request asks for.
pub(crate) struct Selection<'a> {
    pub(crate) ticker: Option<&'a str>,
    pub(crate) is_block_trade: Option<bool>,
    pub(crate) from_us: i64,
    /// The end of the window, exclusive.
    pub(crate) until_us: i64,
    /// Only events strictly below this key, where the previous page ended.
    pub(crate) below: Option<Key>,
}

type Rows = BTreeMap<Key, Arc<Event>>;

#[derive(Default)]
pub(crate) struct Tape {
    all: Rows,
    by_ticker: HashMap<String, MarketTape>,
}

#[derive(Default)]
struct MarketTape {
    rows: Rows,
    /// The sum of the rows, updated with each row.
    volume_e2: u64,
}

impl Tape {
    /// Adds an event, or replaces the one with the same time and trade id.
    pub(crate) fn insert(&mut self, event: Event) {
        let event = Arc::new(event);
        if let Some(old) = self.all.insert(event.key.clone(), Arc::clone(&event))
            && let Some(market) = self.by_ticker.get_mut(&old.ticker)
        {
            market.rows.remove(&old.key);
            market.volume_e2 -= old.count_e2;
        }
        let market = self.by_ticker.entry(event.ticker.clone()).or_default();
        market.volume_e2 += event.count_e2;
        market.rows.insert(event.key.clone(), event);
    }

    /// The volume of a market in hundredths of a contract.
    pub(crate) fn volume_e2(&self, ticker: &str) -> u64 {
        self.by_ticker.get(ticker).map_or(0, |market| market.volume_e2)
    }

    /// The volume of a market from this time on, in hundredths of a contract.
    pub(crate) fn volume_since_e2(&self, ticker: &str, from_us: i64) -> u64 {
        let Some(market) = self.by_ticker.get(ticker) else { return 0 };
        let from = Key::start_of(from_us);
        if market.rows.first_key_value().is_some_and(|(first, _)| from <= *first) {
            return market.volume_e2;
        }
        market.rows.range(from..).map(|(_, event)| event.count_e2).sum()
    }

    /// The events of a market before a time, oldest first.
    pub(crate) fn before(&self, ticker: &str, until_us: i64) -> impl Iterator<Item = &Event> {
        let rows = self.by_ticker.get(ticker).map(|market| &market.rows);
        let until = Key::start_of(until_us);
        rows.into_iter().flat_map(move |rows| rows.range(..until.clone())).map(|(_, row)| &**row)
    }

    /// The newest event of a market.
    pub(crate) fn last(&self, ticker: &str) -> Option<&Event> {
        let (_, event) = self.by_ticker.get(ticker)?.rows.last_key_value()?;
        Some(event)
    }

    /// The newest selected events, newest first, at most `row_count_max`.
    pub(crate) fn newest(&self, selection: &Selection, row_count_max: usize) -> Vec<Arc<Event>> {
        let Some(rows) = self.rows(selection.ticker) else { return Vec::new() };
        let from = Key::start_of(selection.from_us);
        let mut until = Key::start_of(selection.until_us);
        if let Some(below) = &selection.below {
            until = until.min(below.clone());
        }
        if until <= from {
            return Vec::new();
        }
        rows.range((Bound::Included(from), Bound::Excluded(until)))
            .rev()
            .map(|(_, event)| event)
            .filter(|event| {
                selection.is_block_trade.is_none_or(|flag| flag == event.is_block_trade)
            })
            .take(row_count_max)
            .cloned()
            .collect()
    }

    /// All events of a market, or of the exchange, newest first.
    pub(crate) fn events(&self, ticker: Option<&str>) -> impl Iterator<Item = &Arc<Event>> {
        self.rows(ticker).into_iter().flat_map(|rows| rows.values().rev())
    }

    pub(crate) fn tickers(&self) -> Vec<String> {
        let mut tickers: Vec<String> = self.by_ticker.keys().cloned().collect();
        tickers.sort_unstable();
        tickers
    }

    fn rows(&self, ticker: Option<&str>) -> Option<&Rows> {
        match ticker {
            Some(ticker) => self.by_ticker.get(ticker).map(|market| &market.rows),
            None => Some(&self.all),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(created_us: i64, trade_id: &str, ticker: &str) -> Event {
        Event {
            key: Key { created_us, trade_id: trade_id.into() },
            ticker: ticker.to_owned(),
            is_block_trade: trade_id == "block",
            count_e2: 150,
            json: format!("{ticker}/{trade_id}@{created_us}").into_bytes().into(),
            trade: None,
        }
    }

    fn everything() -> Selection<'static> {
        Selection {
            ticker: None,
            is_block_trade: None,
            from_us: i64::MIN,
            until_us: i64::MAX,
            below: None,
        }
    }

    fn check(tape: &Tape, selection: &Selection, expected: &str) {
        let rows: Vec<_> = tape
            .newest(selection, 9)
            .iter()
            .map(|e| String::from_utf8_lossy(&e.json).into_owned())
            .collect();
        assert_eq!(rows.join(" "), expected);
    }

    #[test]
    fn rows_come_newest_first_and_ties_by_id_downwards() {
        let mut tape = Tape::default();
        for (created_us, trade_id, ticker) in
            [(2, "a", "X"), (3, "b", "Y"), (2, "c", "Y"), (1, "block", "X")]
        {
            tape.insert(event(created_us, trade_id, ticker));
        }
        check(&tape, &everything(), "Y/b@3 Y/c@2 X/a@2 X/block@1");
        check(&tape, &Selection { ticker: Some("X"), ..everything() }, "X/a@2 X/block@1");
        check(&tape, &Selection { ticker: Some("Z"), ..everything() }, "");
        check(&tape, &Selection { is_block_trade: Some(true), ..everything() }, "X/block@1");
        check(&tape, &Selection { from_us: 2, until_us: 3, ..everything() }, "Y/c@2 X/a@2");
        check(&tape, &Selection { from_us: 3, until_us: 3, ..everything() }, "");
        let below = Some(Key { created_us: 2, trade_id: "c".into() });
        check(&tape, &Selection { below, ..everything() }, "X/a@2 X/block@1");
        assert_eq!(tape.tickers(), ["X", "Y"]);
    }

    #[test]
    fn the_same_event_again_replaces_even_in_another_market() {
        let mut tape = Tape::default();
        tape.insert(event(1, "a", "X"));
        tape.insert(event(1, "a", "Y"));
        check(&tape, &everything(), "Y/a@1");
        check(&tape, &Selection { ticker: Some("X"), ..everything() }, "");
        assert_eq!((tape.volume_e2("X"), tape.volume_e2("Y")), (0, 150));
    }

    #[test]
    fn volume_is_the_sum_of_what_is_there() {
        let mut tape = Tape::default();
        tape.insert(event(1, "a", "X"));
        tape.insert(event(5, "b", "X"));
        tape.insert(Event { count_e2: 7, ..event(1, "a", "X") });
        assert_eq!(tape.volume_e2("X"), 157);
        let since = |from_us| tape.volume_since_e2("X", from_us);
        assert_eq!([since(0), since(1), since(2), since(6)], [157, 157, 150, 0]);
        assert_eq!((tape.volume_e2("Y"), tape.volume_since_e2("Y", 0)), (0, 0));
        let before = |until_us| tape.before("X", until_us).map(|event| event.key.created_us);
        assert_eq!(before(5).collect::<Vec<_>>(), [1]);
        assert_eq!(before(6).collect::<Vec<_>>(), [1, 5]);
        assert_eq!(tape.last("X").map(|event| event.key.created_us), Some(5));
    }
}
