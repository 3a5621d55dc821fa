//! The statements of descriptions and candles about a slice.

use super::*;
use crate::domain::market::Status;
use crate::domain::ticker::Ticker;
use crate::domain::tier::Tier;

const HOUR: i64 = HOUR_SECONDS;

fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(second)
}

fn key(from: i64, until: i64) -> SliceKey {
    SliceKey::new(Ticker::new("KX").unwrap(), Tier::Live, at(from), at(until)).unwrap()
}

fn lifespan(volume_e2: Option<i64>, seen_at: Option<i64>) -> Lifespan {
    Lifespan {
        market: Ticker::new("KX").unwrap(),
        series: None,
        open_time: Some(at(1_000)),
        close_time: Some(at(9_000)),
        status: Status::Active,
        volume_e2,
        seen_at: seen_at.map(at),
    }
}

fn hours(volumes: &[(i64, i64)]) -> Vec<HourVolume> {
    let hour = |(number, quantity_e2): &(i64, i64)| HourVolume {
        market: Ticker::new("KX").unwrap(),
        ends_at: at(number * HOUR),
        quantity_e2: *quantity_e2,
    };
    volumes.iter().map(hour).collect()
}

#[test]
fn a_volume_accounts_for_what_is_stored_by_then() {
    for (volume, seen, stored, is_accounted_for, why) in [
        (Some(0), Some(5_060), 0, true, "it never traded"),
        (Some(0), Some(5_059), 0, false, "the last trades may not be in it"),
        (Some(0), None, 0, false, "nobody knows when"),
        (Some(0), Some(5_060), 7, false, "what is stored says otherwise"),
        (None, Some(5_060), 0, false, "it says nothing"),
        (Some(7), Some(5_060), 7, true, "all is stored"),
        (Some(7), Some(5_059), 7, false, "all by then"),
        (Some(8), Some(5_060), 7, false, "something is missing"),
        (Some(6), Some(5_060), 7, false, "they do not agree"),
    ] {
        let said = Said::Known(lifespan(volume, seen));
        assert_eq!(said.accounts_for(&key(2_000, 5_000), stored), is_accounted_for, "{why}");
    }
    let said = Said::Known(lifespan(Some(7), Some(5_060)));
    assert_eq!(said.counted_until(), Some(at(5_000)), "what is traded later makes up for nothing");
}

#[test]
fn a_market_that_is_gone_never_traded_unless_it_was_known_to() {
    for (volume, seen, stored, is_accounted_for, why) in [
        (Some(0), Some(3_000), 0, true, "whenever that was said"),
        (None, Some(3_000), 0, true, "nobody said otherwise"),
        (Some(7), Some(3_000), 0, false, "it had traded"),
        (Some(0), Some(3_000), 7, false, "what is stored says otherwise"),
        (Some(0), Some(9_701), 0, false, "it was there a moment ago"),
        (Some(0), None, 0, true, "nobody knows since when it is known"),
    ] {
        let said = Said::Gone(lifespan(volume, seen), at(10_000));
        assert_eq!(said.accounts_for(&key(2_000, 5_000), stored), is_accounted_for, "{why}");
    }
}

#[test]
fn a_market_does_not_trade_outside_of_its_times() {
    let lifespan = lifespan(None, None);
    for (from, until, outside) in
        [(0, 1_000, true), (0, 1_001, false), (9_001, 9_500, true), (9_000, 9_500, false)]
    {
        assert_eq!(is_outside(&lifespan, &key(from, until)), outside, "{from}..{until}");
    }
}

#[test]
fn candles_say_what_they_show() {
    let key = key(HOUR + 10, 2 * HOUR + 10);
    assert_eq!(hours_around(&key), (at(HOUR), at(3 * HOUR)));
    let (open, closed) = (3 * HOUR - 1, 3 * HOUR + 60);
    for (candles, stored, now, word, why) in [
        (&[(2, 0), (3, 0)][..], &[][..], closed, Word::Whole, "nothing was traded"),
        (&[(2, 0)], &[], closed, Word::Whole, "in none of the hours that are told"),
        (&[(2, 0)], &[], open, Word::Silent, "the last hour goes on"),
        (&[(2, 0), (3, 0)], &[], open, Word::Whole, "and its candle is there"),
        (&[(2, 0), (3, 5)], &[], closed, Word::Short, "something was traded"),
        (&[(3, 5)], &[(3, 5)], closed, Word::Whole, "outside of the slice: it is stored"),
        (&[(2, 0), (3, 5)], &[(2, 5)], closed, Word::Short, "another hour makes up for nothing"),
        (&[], &[], closed, Word::Silent, "no answer"),
        (&[(1, 0), (4, 0)], &[], closed, Word::Silent, "not about these hours"),
    ] {
        let said = Candles::Hours(hours(candles)).say(&key, &hours(stored), at(now));
        assert_eq!(said, word, "{why}");
    }
    assert_eq!(Candles::Refused.say(&key, &[], at(closed)), Word::Silent);
}

/// A trade exactly at the start of the slice belongs to the hour that ends there.
#[test]
fn a_trade_on_the_hour_at_which_a_slice_begins_is_looked_for() {
    let key = key(HOUR, 3 * HOUR);
    assert_eq!(hours_around(&key), (at(0), at(3 * HOUR)));
    let candles = Candles::Hours(hours(&[(1, 500), (2, 0), (3, 0)]));
    assert_eq!(candles.say(&key, &[], at(9 * HOUR)), Word::Short);
}

#[test]
fn candles_that_contradict_win() {
    let told = Candles::Hours(Vec::new());
    for (is_accounted_for, candles, word, is_doubted, is_vouched, why) in [
        (true, &told, Word::Short, true, false, "a volume of nothing on a market that traded"),
        (false, &told, Word::Whole, false, true, "candles are enough"),
        (true, &told, Word::Silent, false, true, "the description decides"),
        (false, &told, Word::Silent, true, false, "nobody says anything"),
        (true, &Candles::Refused, Word::Silent, true, true, "three questions and a description"),
        (true, &Candles::Refused, Word::Silent, false, false, "one question and a description"),
    ] {
        assert_eq!(is_borne_out(is_accounted_for, candles, word, is_doubted), is_vouched, "{why}");
    }
}

#[test]
fn a_slice_of_which_something_was_shown_is_not_blank() {
    let blank = Slice::new(key(0, 10));
    assert!(is_blank(&blank));
    assert!(!is_blank(&Slice { low: Some(at(5)), ..blank.clone() }));
    assert!(!is_blank(&Slice { cursor: Some("c".to_owned()), ..blank.clone() }));
    assert!(!is_blank(&Slice { status: SliceStatus::Read, ..blank }));
}
