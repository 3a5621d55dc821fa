use super::*;
use crate::domain::checkpoint::{OpenWalk, Window};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn now() -> Now {
    Now::by_record(at(10_000), None)
}

fn ticker(text: &str) -> Ticker {
    Ticker::new(text).unwrap()
}

fn watch(target: Target, sla_s: u64) -> Watch {
    Watch { target, sla: Duration::from_secs(sla_s) }
}

fn series(name: &str) -> Target {
    Target::Series(ticker(name))
}

fn entry(watch: Watch, resolved_at: i64, members: &[&str]) -> Entry {
    let members = members.iter().map(|name| ticker(name)).collect();
    Entry { watch, selected_at: at(9_990), resolved_at: at(resolved_at), members }
}

/// A checkpoint that is complete up to `ago` seconds ago.
fn row(market: &str, ago: i64) -> Checkpoint {
    let until = at(10_000 - ago);
    Checkpoint {
        complete_until: Some(until),
        last_success_at: Some(until),
        level_at: Some(until),
        ..Checkpoint::first(Scope::parse(market).unwrap(), at(1))
    }
}

#[test]
fn an_entry_is_as_bad_as_its_worst_market() {
    let walk = OpenWalk {
        window: Window::new(None, at(9_995)).unwrap(),
        cursor: None,
        low: None,
        anchor: None,
    };
    let overview = Overview {
        entries: vec![entry(watch(series("KXA"), 60), 9_950, &["A1", "A2", "A3", "A4", "GONE"])],
        active: vec![
            Checkpoint { last_trade_at: Some(at(9_000)), ..row("A1", 5) },
            Checkpoint { failures: 1, ..row("A2", 10) },
            Checkpoint { walk: Some(walk), ..row("A3", 15) },
            Checkpoint { last_trade_at: Some(at(9_900)), ..row("A4", 61) },
            row("OTHER", 9_000),
        ],
        ..Overview::default()
    };
    let [summary] = &overview.summaries(None, now())[..] else { panic!("not one") };
    let markets: Vec<&str> = summary.markets.iter().map(Scope::as_str).collect();
    assert_eq!(markets, ["A1", "A2", "A3", "A4"], "a retired one is none of them");
    assert_eq!((summary.stale, summary.failing, summary.behind), (1, 1, 1));
    assert_eq!(summary.lag, Duration::from_secs(61));
    assert_eq!(summary.last_success_at, Some(at(9_939)), "the worst");
    assert_eq!(summary.newest_trade_at, Some(at(9_900)), "the best");
    assert_eq!(summary.unresolved_since, None);
}

#[test]
fn a_list_that_nobody_gave_for_longer_than_the_sla_is_stale_itself() {
    for (resolved_at, stale, lag_s, why) in [
        (9_950, 0, 5, "within the SLA"),
        (9_940, 0, 5, "exactly the SLA is no breach"),
        (9_939, 1, 61, "one second over"),
    ] {
        let overview = Overview {
            entries: vec![entry(watch(series("KXA"), 60), resolved_at, &["A1"])],
            active: vec![row("A1", 5)],
            ..Overview::default()
        };
        let summary = overview.summaries(None, now()).remove(0);
        assert_eq!((summary.stale, summary.lag), (stale, Duration::from_secs(lag_s)), "{why}");
        assert_eq!(summary.unresolved_since.is_some(), stale > 0, "{why}");
    }
}

#[test]
fn the_tape_and_a_market_need_no_list() {
    let targets = [Target::All, Target::Market(ticker("M"))];
    let mut entries: Vec<Entry> =
        targets.iter().map(|target| entry(watch(target.clone(), 60), 1, &[])).collect();
    entries.push(entry(watch(Target::Market(ticker("RETIRED")), 60), 1, &[]));
    let active = vec![row("*", 7), row("M", 8)];
    let overview = Overview { entries, active, ..Overview::default() };
    let seen: Vec<(String, u64, usize)> = overview
        .summaries(None, now())
        .into_iter()
        .map(|summary| (summary.label, summary.lag.as_secs(), summary.stale))
        .collect();
    assert_eq!(seen, [("*".into(), 7, 0), ("M".into(), 8, 0), ("RETIRED".into(), 0, 0)]);
}

#[test]
fn what_is_named_decides_and_not_what_was_selected() {
    let overview = Overview {
        entries: vec![entry(watch(series("KXA"), 60), 9_999, &["A1", "A2"])],
        active: vec![row("A1", 5), row("A2", 5), row("M", 100)],
        ..Overview::default()
    };
    let named = [watch(Target::Market(ticker("M")), 60), watch(series("NEW"), 60)];
    let selection = Selection::new(named, Shard::WHOLE);
    let summaries = overview.summaries(Some(&selection), now());
    let seen: Vec<_> = summaries.iter().map(|s| (s.label.as_str(), s.markets.len())).collect();
    assert_eq!(seen, [("M", 1), ("NEW", 0)]);
    assert_eq!(summaries[0].stale, 1);
    // Every market belongs to exactly one share.
    let shares = (0..3).map(|index| {
        let whole = [watch(series("KXA"), 60)];
        let selection = Selection::new(whole, Shard::new(index, 3).unwrap());
        overview.summaries(Some(&selection), now())[0].markets.len()
    });
    assert_eq!(shares.sum::<usize>(), 2);
}

#[test]
fn two_entries_of_one_name_are_one_line() {
    let entries = vec![
        entry(watch(Target::Market(ticker("X")), 60), 1, &[]),
        entry(watch(Target::Event(ticker("X")), 30), 9_999, &["X", "Y"]),
    ];
    let active = vec![row("X", 45), row("Y", 5)];
    let overview = Overview { entries, active, ..Overview::default() };
    let [summary] = &overview.summaries(None, now())[..] else { panic!("not one line") };
    assert_eq!((summary.sla, summary.stale), (Duration::from_secs(30), 1));
    assert_eq!(summary.markets, ["X", "Y"].map(|name| Scope::from(ticker(name))));
}

#[test]
fn the_lowest_score_of_an_entry_is_its_own() {
    let scored = |market: &str, series: Option<&str>, event: Option<&str>, score| Scored {
        market: ticker(market),
        event: event.map(Box::from),
        series: series.map(Box::from),
        score,
        scored_at: at(1),
    };
    let targets = [series("KXA"), Target::Event(ticker("KXB-1")), Target::Market(ticker("M"))];
    let entries = targets.into_iter().chain([Target::All, series("NONE")]);
    let overview = Overview {
        entries: entries.map(|target| entry(watch(target, 60), 9_999, &[])).collect(),
        scores: vec![
            scored("B1", Some("KXB"), Some("KXB-1"), 0.2),
            scored("A1", Some("KXA"), None, 0.5),
            scored("A2", Some("KXA"), None, 0.9),
            scored("M", None, None, 1.0),
        ],
        ..Overview::default()
    };
    let seen: Vec<(String, Option<f64>)> = overview
        .summaries(None, now())
        .into_iter()
        .map(|summary| (summary.label, summary.completeness.map(|scored| scored.score)))
        .collect();
    let expected = [("*", Some(0.2)), ("KXA", Some(0.5)), ("KXB-1", Some(0.2)), ("M", Some(1.0))];
    let expected = expected.into_iter().chain([("NONE", None)]);
    assert_eq!(seen, expected.map(|(label, score)| (label.to_owned(), score)).collect::<Vec<_>>());
}

#[test]
fn each_instant_is_judged_by_the_clock_it_was_told_by() {
    // The clock of the exchange is an hour ahead of ours.
    let now = Now { exchange: at(13_600), ours: at(10_000) };
    let read = Checkpoint { complete_until: Some(at(13_590)), ..row("M", 0) };
    let overview = Overview {
        entries: vec![entry(watch(series("KXA"), 60), 9_990, &["M"])],
        active: vec![read],
        ..Overview::default()
    };
    let summary = overview.summaries(None, now).remove(0);
    assert_eq!((summary.lag, summary.stale), (Duration::from_secs(10), 0));
}

#[test]
fn the_last_day_begins_at_a_quarter_of_an_hour() {
    assert_eq!(day_begins(at(86_400 + 899)), at(900));
    assert_eq!(day_begins(at(86_400 + 900)), at(1_800));
}
