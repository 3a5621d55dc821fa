//! Tables: when to look at a market, when it is gone, and when it retires.

use super::super::checkpoint::{OpenWalk, Window};
use super::super::evidence::Anchor;
use super::super::ticker::Ticker;
use super::*;

/// The longest time that the live tier holds a settled market.
const LIVE_MAX: Duration = Duration::from_secs(68 * 86_400);

const NOW: Timestamp = Timestamp::from_seconds(1_000_000);
const MINUTE: i64 = 60;
const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

fn ago(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(NOW.second() - seconds)
}

fn ticker() -> Ticker {
    Ticker::new("A").unwrap()
}

/// A market that was looked at `checked_ago` seconds ago, with no other facts.
fn known(status: &str, checked_ago: i64) -> Known {
    Known {
        ticker: ticker(),
        status: Status::parse(status),
        has_series: true,
        open_time: None,
        close_time: None,
        settlement_time: None,
        ended_at: None,
        checked_at: ago(checked_ago),
        missing_since: None,
        volume_e2: None,
        seen_at: NOW,
    }
}

fn closing(status: &str, checked_ago: i64, close_ago: i64) -> Known {
    Known { close_time: Some(ago(close_ago)), ..known(status, checked_ago) }
}

fn opening(status: &str, checked_ago: i64, open_ago: i64) -> Known {
    Known { open_time: Some(ago(open_ago)), ..known(status, checked_ago) }
}

fn missing(known: Known, missing_ago: i64) -> Known {
    Known { missing_since: Some(ago(missing_ago)), ..known }
}

/// Every status of the exchange except the one for the end.
const ALIVE: [&str; 8] = [
    "initialized",
    "inactive",
    "active",
    "closed",
    "determined",
    "disputed",
    "amended",
    "a-word-of-tomorrow",
];
const OVER: [&str; 2] = ["finalized", "vanished"];

#[test]
fn a_market_is_asked_for_by_name_as_often_as_it_may_change() {
    for status in ALIVE {
        for (checked_ago, is_departed, due, why) in [
            (15 * MINUTE - 1, false, false, "a list shows it anyway"),
            (15 * MINUTE, false, true, "unless it does not"),
            (MINUTE - 1, true, false, "lists and markets need not agree for a moment"),
            (MINUTE, true, true, "it just left the list of open markets"),
            (-HOUR, true, false, "a clock that went back"),
        ] {
            let known = known(status, checked_ago);
            assert_eq!(is_due(Some(&known), Listed::No, is_departed, NOW), due, "{status}: {why}");
        }
        let old = missing(closing(status, DAY, DAY), DAY);
        assert!(!is_due(Some(&old), Listed::Open, false, NOW), "{status}: it was just seen");
    }
    for is_departed in [false, true] {
        assert!(is_due(None, Listed::No, is_departed, NOW), "never seen");
        assert!(!is_due(None, Listed::Open, is_departed, NOW), "the list said it all");
    }
}

#[test]
fn what_is_over_is_never_asked_for_again() {
    for status in OVER {
        let old = missing(closing(status, DAY, DAY), DAY);
        for is_departed in [false, true] {
            assert!(!is_due(Some(&old), Listed::No, is_departed, NOW), "{status}");
        }
        assert!(!is_due_after_list(&old, NOW), "{status}");
    }
}

#[test]
fn the_longer_ago_the_close_the_more_rarely_it_is_looked_at() {
    for (close_ago, wait) in [
        (1, MINUTE),
        (10 * MINUTE, MINUTE),
        (20 * MINUTE, 2 * MINUTE),
        (2 * HOUR, 12 * MINUTE),
        (10 * HOUR, HOUR),
        (10 * DAY, HOUR),
    ] {
        for status in ["active", "inactive", "closed", "determined", "disputed", "amended"] {
            // A silent change at the close itself was seen by then.
            let looked =
                |checked_ago: i64| closing(status, checked_ago, close_ago.max(checked_ago));
            assert!(is_due_after_list(&looked(wait), NOW), "{status} {close_ago}: after {wait}");
            let early = Known { checked_at: ago(wait - 1), ..closing(status, 0, close_ago) };
            let is_silent = close_ago < wait && ["active", "inactive"].contains(&status);
            assert_eq!(
                is_due_after_list(&early, NOW),
                is_silent,
                "{status} {close_ago}: before {wait}"
            );
        }
    }
    for status in ALIVE {
        assert!(
            !is_due_after_list(&known(status, DAY), NOW),
            "{status}: lists tell of its changes"
        );
        let later = closing(status, DAY, -1);
        assert!(!is_due_after_list(&later, NOW), "{status}: it has not closed");
    }
}

#[test]
fn a_market_that_was_not_found_is_looked_for_every_minute() {
    for status in ALIVE {
        for close_ago in [-DAY, DAY] {
            let lost = |checked_ago| missing(closing(status, checked_ago, close_ago), HOUR);
            assert!(!is_due_after_list(&lost(MINUTE - 1), NOW), "{status}");
            assert!(is_due_after_list(&lost(MINUTE), NOW), "{status}");
        }
    }
}

#[test]
fn markets_open_and_close_without_a_word() {
    for (market, due, why) in [
        (opening("initialized", 10, 5), true, "it opened since the last look"),
        (opening("initialized", 10, 0), true, "at this very moment"),
        (opening("initialized", 10, -1), false, "not yet"),
        (opening("initialized", 10, 10), false, "it was asked at that moment and had not opened"),
        (opening("initialized", MINUTE, MINUTE), true, "then it is asked again soon"),
        (closing("initialized", 10, 5), false, "it has not even opened"),
        (opening("active", 10, 5), false, "it is open already"),
        (closing("active", 10, 5), true, "it closed since the last look"),
        (closing("inactive", 10, 5), true, "also when it was halted"),
        (closing("active", 10, 0), true, "at this very moment"),
        (closing("active", 10, -1), false, "not yet"),
        (closing("active", 10, 10), false, "it was asked at that moment"),
        (closing("closed", 10, 5), false, "that is known"),
        (closing("determined", 10, 5), false, "that is known"),
    ] {
        assert_eq!(is_due_after_list(&market, NOW), due, "{why}: {market:?}");
        assert_eq!(is_due(Some(&market), Listed::No, false, NOW), due, "{why}: {market:?}");
    }
    // A market without an opening time cannot stay unopened after its close.
    assert!(is_due_after_list(&closing("initialized", 2 * MINUTE, 20 * MINUTE), NOW));
    let both =
        Known { open_time: Some(ago(-1)), ..closing("initialized", 2 * MINUTE, 20 * MINUTE) };
    assert!(!is_due_after_list(&both, NOW), "it has yet to open, whatever its close says");
}

#[test]
fn a_market_is_gone_when_it_stayed_unknown_for_a_while() {
    for (missing_ago, gone) in [(0, false), (299, false), (300, true), (DAY, true), (-DAY, false)] {
        let lost = missing(known("active", 0), missing_ago);
        assert_eq!(is_gone(&lost, NOW), gone, "missing for {missing_ago} s");
    }
    assert!(!is_gone(&known("active", DAY), NOW), "it is not missing");
}

#[test]
fn only_what_somebody_decides_by_is_news() {
    let market = Market {
        ticker: ticker(),
        event_ticker: "E".into(),
        series: Some("S".into()),
        title: None,
        yes_label: None,
        status: Status::Active,
        result: None,
        open_time: Some(ago(3)),
        close_time: Some(ago(2)),
        expected_expiration_time: None,
        latest_expiration_time: None,
        settlement_time: Some(ago(1)),
        settlement_value: None,
        volume_e2: Some(1),
        price_level_structure: None,
        terms: std::collections::BTreeMap::new(),
        payload: "{}".into(),
    };
    let held = Known {
        open_time: market.open_time,
        close_time: market.close_time,
        settlement_time: market.settlement_time,
        ..known("active", DAY)
    };
    let without_series = Known { has_series: false, ..held.clone() };
    let nameless = Market { series: None, ..market.clone() };
    let traded = Market { volume_e2: Some(2), payload: "{ }".into(), ..market.clone() };
    for (known, market, news, why) in [
        (None, &market, true, "it was not known"),
        (Some(&held), &market, false, "nothing new"),
        (Some(&held), &traded, false, "volumes change all the time"),
        (Some(&Known { status: Status::Closed, ..held.clone() }), &market, true, "its status"),
        (Some(&Known { open_time: None, ..held.clone() }), &market, true, "its opening"),
        (Some(&Known { close_time: Some(ago(9)), ..held.clone() }), &market, true, "its close"),
        (Some(&Known { settlement_time: None, ..held.clone() }), &market, true, "its settlement"),
        (Some(&missing(held.clone(), 1)), &market, true, "it is not missing after all"),
        (Some(&without_series), &market, true, "its series"),
        (Some(&without_series), &nameless, false, "its series is still not known"),
        (Some(&held), &nameless, false, "its series is known from elsewhere"),
    ] {
        assert_eq!(is_news(known, market), news, "{why}");
    }
}

const LATE_MAX: Duration = Duration::from_secs(125);

/// A checkpoint that is complete up to `until_ago` seconds ago.
fn complete(until_ago: i64) -> Checkpoint {
    let level_at = Some(ago(until_ago));
    let first = Checkpoint::first(ticker(), ago(DAY));
    let anchor = Some(Anchor { at: ago(DAY), id: None });
    Checkpoint { complete_until: Some(ago(until_ago)), level_at, anchor, ..first }
}

fn ended(status: &str, seen_ago: Option<i64>, settled_ago: Option<i64>) -> Known {
    let (ended_at, settlement_time) = (seen_ago.map(ago), settled_ago.map(ago));
    Known { settlement_time, ended_at, ..known(status, 0) }
}

#[test]
fn a_market_retires_when_it_is_over_and_its_late_trades_are_stored() {
    let window = Window::new(Some(ago(10)), ago(5)).unwrap();
    let walk = OpenWalk { window, cursor: None, low: None, anchor: None };
    let open = Checkpoint { walk: Some(walk), ..complete(5) };
    let first = Checkpoint::first(ticker(), ago(DAY));
    for status in OVER {
        for (seen_ago, settled_ago, row, retires, why) in [
            (Some(130), None, complete(5), true, "all that may be late is stored"),
            (Some(129), None, complete(5), false, "a second of it is not"),
            (Some(60), Some(130), complete(5), true, "it was over before that was seen"),
            (Some(130), Some(60), complete(5), false, "that lay ahead when it was seen"),
            (Some(200), Some(130), complete(5), true, "and is over now"),
            (Some(60), Some(129), complete(5), false, "both a second too young"),
            (None, Some(130), complete(5), true, "settled is over"),
            (None, Some(129), complete(5), false, "but not long enough"),
            (None, None, complete(5), false, "nobody knows when it ended"),
            (Some(DAY), Some(DAY), first.clone(), false, "it was never read"),
            (Some(DAY), Some(DAY), open.clone(), false, "a walk is open"),
        ] {
            let known = ended(status, seen_ago, settled_ago);
            let expected = retires.then_some(Retirement::Retire);
            assert_eq!(retirement(Some(&known), Listed::No, &row, LATE_MAX), expected, "{why}");
            let listed = retirement(Some(&known), Listed::Open, &row, LATE_MAX);
            assert_eq!(listed, None, "a market that is listed open never retires");
        }
    }
    for status in ALIVE {
        let known = ended(status, Some(DAY), Some(DAY));
        let retirement = retirement(Some(&known), Listed::No, &complete(5), LATE_MAX);
        assert_eq!(retirement, None, "{status} is not over");
    }
    assert_eq!(retirement(None, Listed::No, &complete(5), LATE_MAX), None, "nothing is known");
}

#[test]
fn a_retired_market_comes_back_when_it_trades_after_all() {
    let retired = Checkpoint { retired_at: Some(ago(HOUR)), ..complete(HOUR) };
    for status in OVER {
        let known = ended(status, Some(DAY), Some(DAY));
        let stays = retirement(Some(&known), Listed::No, &retired, LATE_MAX);
        assert_eq!(stays, None, "{status}: it stays retired, and does not retire twice");
        let listed = retirement(Some(&known), Listed::Open, &retired, LATE_MAX);
        assert_eq!(listed, Some(Retirement::Reopen), "{status}, but listed open");
    }
    for status in ALIVE {
        let back = retirement(Some(&known(status, 0)), Listed::No, &retired, LATE_MAX);
        assert_eq!(back, Some(Retirement::Reopen), "{status}");
    }
    assert_eq!(retirement(None, Listed::No, &retired, LATE_MAX), None, "nothing speaks for it");
    let listed = retirement(None, Listed::Open, &retired, LATE_MAX);
    assert_eq!(listed, Some(Retirement::Reopen), "a list speaks for it");
}

#[test]
fn a_settlement_that_lies_ahead_or_is_followed_by_trades_is_not_believed() {
    let traded =
        |row: Checkpoint, ago_s: i64| Checkpoint { last_trade_at: Some(ago(ago_s)), ..row };
    let day = 86_400;
    for (known, row, is_retired, why) in [
        (ended("finalized", Some(600), Some(-600)), complete(5), false, "it lies ahead"),
        (ended("finalized", Some(600), Some(600)), complete(5), true, "it is over"),
        (ended("finalized", Some(600), Some(600)), traded(complete(5), 700), true, "traded before"),
        (ended("finalized", Some(600), Some(600)), traded(complete(5), 500), true, "late trades"),
        (ended("finalized", Some(600), Some(600)), traded(complete(5), 60), false, "traded after"),
        (
            ended("finalized", Some(600), Some(600)),
            Checkpoint { level_at: None, ..traded(complete(5), 700) },
            false,
            "it was silent, and then its list was not read to the end",
        ),
        (
            ended("finalized", Some(2 * day), Some(2 * day)),
            traded(complete(5), day + 60),
            true,
            "traded after, and then was silent for a day",
        ),
    ] {
        let retirement = retirement(Some(&known), Listed::No, &row, LATE_MAX);
        assert_eq!(retirement == Some(Retirement::Retire), is_retired, "{why}");
    }
}

#[test]
fn what_was_settled_on_is_looked_at_again_within_as_long_as_it_lasted() {
    for (lasted, wait) in
        [(0, 180), (60, 180), (180, 180), (600, 600), (3_600, 3_600), (86_400, 3_600)]
    {
        let wait = Duration::from_secs(wait);
        assert_eq!(look_again_after(ago(lasted), ago(0)), wait, "after {lasted} s");
    }
}

#[test]
fn what_ended_lately_is_asked_for_again_before_what_ended_long_ago() {
    let over = |n: usize, ended_ago: i64, checked_ago: i64| Known {
        ticker: Ticker::new(&format!("M{n:03}")).unwrap(),
        ended_at: Some(ago(ended_ago)),
        ..known("finalized", checked_ago)
    };
    let names = |found: Vec<Known>| -> Vec<String> {
        found.iter().map(|known| known.ticker.to_string()).collect()
    };
    let few = vec![
        over(1, 170, 170),
        over(2, 190, 190),
        over(3, 900, 500),
        over(4, 900, 430),
        over(5, 30 * 86_400, 3_601),
        over(6, 30 * 86_400, 3_599),
        known("active", 9_999),
    ];
    assert_eq!(names(again(few, ago(0), LIVE_MAX)), ["M003", "M002", "M005"], "of few each hour");
    let mut many: Vec<Known> = (0..300).map(|n| over(n, 30 * 86_400, 7_200)).collect();
    many.push(over(999, 600, 300));
    assert_eq!(names(again(many, ago(0), LIVE_MAX)), ["M999"], "of many ever more rarely");
    let many: Vec<Known> = (0..300).map(|n| over(n, 30 * 86_400, 20 * 86_400)).collect();
    assert_eq!(again(many, ago(0), LIVE_MAX).len(), 100, "one request");
    let archived = Known { settlement_time: Some(ago(90 * 86_400)), ..over(7, 90 * 86_400, 9_999) };
    let mixed = vec![over(8, 86_400, 9_000), archived.clone()];
    assert_eq!(names(again(mixed, ago(0), LIVE_MAX)), ["M008"], "one tier");
    assert_eq!(names(again(vec![archived], ago(0), LIVE_MAX)), ["M007"]);
}

#[test]
fn a_trade_above_what_was_read_takes_a_retired_market_back() {
    let retired = Checkpoint { retired_at: Some(ago(50)), ..complete(100) };
    let market = retired.scope.market().unwrap().clone();
    for (row, seen, is_back) in [
        (retired.clone(), Some(99), true),
        (retired.clone(), Some(100), false),
        (retired.clone(), None, false),
        (complete(100), Some(1), false),
    ] {
        let back = traded_again(&[row], |_| seen.map(ago));
        assert_eq!(back == [market.clone()], is_back, "{seen:?}");
    }
}

#[test]
fn a_market_is_open_from_its_opening_until_its_close_while_it_is_active() {
    let at = |status: &str, open: Option<i64>, close: Option<i64>| {
        let (open_time, close_time) = (open.map(ago), close.map(ago));
        is_open(&Known { open_time, close_time, ..known(status, 0) }, NOW)
    };
    for (status, open, close, is, why) in [
        ("active", Some(10), Some(-10), true, "between the two"),
        ("active", None, Some(-10), true, "nobody knows when it opened"),
        ("active", Some(0), Some(-10), true, "it opens now"),
        ("active", Some(-1), Some(-10), false, "it opens in a second"),
        ("active", Some(10), Some(0), false, "it closes now"),
        ("active", Some(10), Some(1), false, "it closed a second ago"),
        ("active", Some(10), None, false, "nobody knows when it closes"),
        ("inactive", Some(10), Some(-10), false, "it is paused"),
        ("closed", Some(10), Some(-10), false, "it closed early"),
    ] {
        assert_eq!(at(status, open, close), is, "{why}");
    }
}

#[test]
fn the_archive_is_asked_for_what_settled_longer_ago_than_the_live_tier_ever_held() {
    let settled = |seconds: Option<i64>| {
        is_archived(
            &Known { settlement_time: seconds.map(ago), ..known("finalized", 0) },
            NOW,
            LIVE_MAX,
        )
    };
    assert!(!settled(Some(68 * DAY)));
    assert!(settled(Some(68 * DAY + 1)));
    assert!(!settled(None));
}

#[test]
fn one_of_many_is_looked_at_after_a_24th_of_its_age() {
    let over = |number: usize, checked_ago: i64, ended_ago: i64| Known {
        ticker: Ticker::new(&format!("M{number:03}")).unwrap(),
        ended_at: Some(ago(ended_ago)),
        ..known("finalized", checked_ago)
    };
    let is_due = |checked_ago: i64, ended_ago: i64| {
        let rest = (1..100).map(|number| over(number, 0, DAY));
        let all: Vec<Known> = rest.chain([over(0, checked_ago, ended_ago)]).collect();
        again(all, NOW, LIVE_MAX).iter().any(|known| known.ticker.as_str() == "M000")
    };
    assert!(!is_due(4 * HOUR - 1, 4 * DAY));
    assert!(is_due(4 * HOUR, 4 * DAY));
    assert!(!is_due(HOUR - 1, 5 * HOUR), "an hour at least");
    assert!(!is_due(7 * DAY - 1, 400 * DAY));
    assert!(is_due(7 * DAY, 400 * DAY), "a week at most");
    // A market that ended exactly two days ago counts as ended lately.
    let lately = [over(1, DAY, 2 * DAY + 1), over(2, DAY - 1, 2 * DAY)];
    let names: Vec<String> = again(lately.to_vec(), NOW, LIVE_MAX)
        .iter()
        .map(|known| known.ticker.to_string())
        .collect();
    assert_eq!(names, ["M002", "M001"]);
}

#[test]
fn a_trade_at_the_latest_possible_instant_is_no_trade_after_the_end() {
    let known = ended("finalized", Some(HOUR), Some(HOUR));
    let late_max = Duration::from_secs(150);
    let traded = |at: Timestamp| {
        let row = Checkpoint { last_trade_at: Some(at), ..complete(HOUR - 150) };
        retirement(Some(&known), Listed::No, &row, late_max)
    };
    let end = ago(HOUR).after(late_max);
    assert_eq!(traded(end), Some(Retirement::Retire));
    assert_eq!(traded(end.after(Duration::from_micros(1))), None, "it trades on");
}
