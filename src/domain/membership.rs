//! The members of an event or a series: the question to ask since the last answer, and the meaning of a row of a
//! list. Pure.

use std::time::Duration;

use super::market::{Market, Status, WatchRecord};
use super::ticker::fingerprint;
use super::time::Timestamp;

/// A list begins this far below the last evidence, because answers may come from a cache and closing times may move.
const MARGIN: Duration = Duration::from_secs(3_600);
/// After a longer gap than this, markets that settled meanwhile are asked for as well.
const GAP_MIN: Duration = Duration::from_secs(10 * 60);
/// The period of other questions about an entry without markets. Between them the record answers.
const EMPTY_AGAIN: Duration = Duration::from_secs(3_600);

/// The instant up to which an answer is evidence: not later than the date of the answer, and not later than our own
/// clock.
pub fn evidence(answered_at: Timestamp, ours: Timestamp) -> Timestamp {
    answered_at.min(ours)
}

/// The instants since which markets may have opened and closed unseen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Since {
    /// Markets that close at this instant or later are listed.
    pub list_from: Timestamp,
    /// A market that ended before this instant is not caught up with: it was known, or the entry was not selected
    /// yet.
    pub ended_from: Timestamp,
    /// The time since the last answer.
    pub gap: Duration,
    /// Whether an hour of the entry has begun since the last answer.
    pub is_new_hour: bool,
}

impl Since {
    /// The instants by the record. An answer or a first selection later than now comes from a clock that was ahead.
    pub fn of(record: &WatchRecord, now: Timestamp) -> Since {
        let first = record.first_selected_at.min(now);
        let last = record.resolved_at.map_or(first, |at| at.min(now));
        let list_from = last.before(MARGIN);
        let ended_from =
            if record.resolved_at.is_some() { list_from.max(first.min(last)) } else { first };
        // Each entry has hours of its own, so that the hours of all entries do not begin together.
        let offset = i64::try_from(fingerprint(record.watch.bytes()) % 3_600).unwrap_or(0);
        let hour = |at: Timestamp| (at.second() + offset).div_euclid(3_600);
        let is_new_hour = record.resolved_at.is_some() && hour(last) != hour(now);
        Since { list_from, ended_from, gap: now.since(last), is_new_hour }
    }

    /// Whether markets that settled meanwhile need a list of their own.
    pub fn is_gap(&self) -> bool {
        self.gap > GAP_MIN
    }

    /// Whether the archive may have taken some of these markets: the live tier holds every market for `live_min`.
    pub fn is_long_gap(&self, live_min: Duration) -> bool {
        self.gap > live_min
    }
}

/// The state of a market, by a row of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// The market trades.
    Open,
    /// The market traded until lately.
    Ended,
    /// The market is not open yet, or it ended before the entry was selected.
    Other,
}

/// Judges a row by the time of its answer.
pub fn row(market: &Market, since: &Since, now: Timestamp) -> Row {
    let is_unopened = market.status == Status::Initialized || market.status == Status::Active;
    if is_unopened && market.open_time.is_some_and(|at| at > now) {
        return Row::Other;
    }
    if market.status == Status::Initialized && market.open_time.is_none() {
        return Row::Other;
    }
    let is_closed = market.close_time.is_some_and(|at| at <= now);
    if market.status.may_trade() && !is_closed {
        return Row::Open;
    }
    let ended_at = market.settlement_time.or(market.close_time).map_or(now, |at| at.min(now));
    if ended_at >= since.ended_from { Row::Ended } else { Row::Other }
}

/// Whether an empty list is believed without another question: two questions agreed not long ago, and no known market
/// contradicts them.
pub fn is_emptiness_known(record: &WatchRecord, has_open: bool, ours: Timestamp) -> bool {
    let is_recent = |at: Timestamp| at <= ours && ours.since(at) < EMPTY_AGAIN;
    !has_open && record.resolved_at.is_some() && record.empty_at.is_some_and(is_recent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ticker::Ticker;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_seconds(second)
    }

    fn record(first: i64, resolved: Option<i64>) -> WatchRecord {
        WatchRecord {
            watch: "series:S".into(),
            first_selected_at: at(first),
            resolved_at: resolved.map(at),
            synced_at: None,
            synced_until: None,
            known_at: None,
            empty_at: None,
            members: Vec::new(),
        }
    }

    fn market(status: &str, open: i64, close: i64, settled: Option<i64>) -> Market {
        Market {
            ticker: Ticker::new("S-1-A").unwrap(),
            event_ticker: "S-1".into(),
            series: None,
            title: None,
            yes_label: None,
            status: Status::parse(status),
            result: None,
            open_time: Some(at(open)),
            close_time: Some(at(close)),
            expected_expiration_time: None,
            latest_expiration_time: None,
            settlement_time: settled.map(at),
            settlement_value: None,
            volume_e2: None,
            price_level_structure: None,
            terms: std::collections::BTreeMap::new(),
            payload: "{}".into(),
        }
    }

    #[test]
    fn a_list_begins_an_hour_below_the_evidence_and_never_above_now() {
        for (first, resolved, list_from, ended_from, gap, why) in [
            (100_000, None, 96_400, 100_000, 0, "the first time: nothing to catch up with"),
            (50_000, None, 46_400, 50_000, 50_000, "the first answer took long"),
            (1_000, Some(99_940), 96_340, 96_340, 60, "a minute ago"),
            (99_000, Some(99_940), 96_340, 99_000, 60, "not below the first selection"),
            (1_000, Some(10_000), 6_400, 6_400, 90_000, "a day ago"),
            (1_000, Some(200_000), 96_400, 96_400, 0, "an answer with a date ahead"),
        ] {
            let since = Since::of(&record(first, resolved), at(100_000));
            let (list_from, ended_from) = (at(list_from), at(ended_from));
            let expected = Since { list_from, ended_from, gap: Duration::from_secs(gap), ..since };
            assert_eq!(since, expected, "{why}");
        }
    }

    #[test]
    fn an_entry_is_asked_for_in_another_way_once_an_hour() {
        let is_new = |n: &i64| Since::of(&record(1, Some(60 * n)), at(60 * (n + 1))).is_new_hour;
        assert_eq!((0..600).filter(is_new).count(), 10);
        assert!(Since::of(&record(1, Some(1_000)), at(9_000)).is_new_hour, "after a long gap");
        assert!(!Since::of(&record(1, None), at(90_000)).is_new_hour, "not the first time");
    }

    #[test]
    fn a_row_is_judged_by_status_and_times() {
        let since = Since {
            list_from: at(500),
            ended_from: at(600),
            gap: Duration::ZERO,
            is_new_hour: false,
        };
        for (status, open, close, settled, expected, why) in [
            ("active", 100, 2_000, None, Row::Open, "trades"),
            ("inactive", 100, 2_000, None, Row::Open, "paused"),
            ("initialized", 1_500, 2_000, None, Row::Other, "not open yet"),
            ("initialized", 900, 2_000, None, Row::Open, "opened silently"),
            ("initialized", 1_000, 2_000, None, Row::Open, "it opens now"),
            ("active", 1_500, 2_000, None, Row::Other, "active, and yet not open"),
            ("closed", 1_500, 900, None, Row::Ended, "its opening was moved when it was over"),
            ("active", 100, 900, None, Row::Ended, "closed silently"),
            ("closed", 100, 900, None, Row::Ended, "closed lately"),
            ("closed", 100, 599, None, Row::Other, "closed before anybody asked"),
            ("finalized", 100, 300, Some(700), Row::Ended, "settled lately"),
            ("finalized", 100, 2_000, Some(400), Row::Other, "settled early, long ago"),
            ("determined", 100, 2_000, None, Row::Ended, "closed early"),
            ("tomorrow's word", 100, 2_000, None, Row::Open, "trades, as far as anybody can say"),
        ] {
            let row = row(&market(status, open, close, settled), &since, at(1_000));
            assert_eq!(row, expected, "{status} {open}..{close}: {why}");
        }
    }

    #[test]
    fn an_empty_entry_is_asked_for_again_every_hour() {
        for (resolved, empty, has_open, ours, expected) in [
            (Some(10), Some(10), false, 3_609, true),
            (Some(10), Some(10), false, 3_610, false),
            (Some(10), Some(10), true, 20, false),
            (None, Some(10), false, 20, false),
            (Some(10), None, false, 20, false),
            (Some(10), Some(30), false, 20, false),
        ] {
            let mut record = record(1, resolved);
            record.empty_at = empty.map(at);
            assert_eq!(is_emptiness_known(&record, has_open, at(ours)), expected, "{record:?}");
        }
    }

    #[test]
    fn a_market_that_names_no_opening_is_open_once_it_is_said_to_be() {
        let since = Since::of(&record(1, Some(900)), at(1_000));
        for (status, expected) in [("initialized", Row::Other), ("active", Row::Open)] {
            let market = Market { open_time: None, ..market(status, 0, 2_000, None) };
            assert_eq!(row(&market, &since, at(1_000)), expected, "{status}");
        }
    }

    #[test]
    fn ten_minutes_are_no_gap_and_thirty_days_no_long_one() {
        let gaps = |seconds: i64| {
            let since = Since::of(&record(1, Some(1)), at(1 + seconds));
            (since.is_gap(), since.is_long_gap(Duration::from_secs(30 * 86_400)))
        };
        assert_eq!(gaps(600), (false, false));
        assert_eq!(gaps(601), (true, false));
        assert_eq!(gaps(30 * 86_400), (true, false));
        assert_eq!(gaps(30 * 86_400 + 1), (true, true));
    }

    #[test]
    fn entries_do_not_all_begin_their_hours_at_once() {
        let begins = |watch: &str| {
            let is_new = |n: &i64| {
                let record = WatchRecord { watch: watch.into(), ..record(1, Some(60 * n)) };
                Since::of(&record, at(60 * (n + 1))).is_new_hour
            };
            (0..60).find(is_new)
        };
        let all: std::collections::BTreeSet<_> =
            ["series:A", "series:B", "series:C", "event:D"].map(begins).into_iter().collect();
        assert!(all.len() > 1 && !all.contains(&None), "{all:?}");
    }
}
