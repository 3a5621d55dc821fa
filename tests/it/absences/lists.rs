//! Lists that are empty, end early, or hold what was not asked for; and what they missed.

use kalshi_simulator::{Fault, Market, Rules};

use super::{MINUTE_US, SECOND_US, members, open, requests, trade};
use crate::support::bench::{Bench, DAY_US, NOON_US, stderr};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    pooled:
    a_first_list_that_is_empty_once_is_not_believed,
    a_backfill_does_not_end_well_over_an_empty_list,
    a_list_of_changes_that_is_empty_once_hides_nothing,
    a_later_page_that_is_empty_is_no_end,
    a_list_that_ends_with_a_full_page_ends,
    a_list_whose_filter_was_not_heard_is_refused,
    events_of_other_names_belong_to_their_series,
    events_that_nobody_explains_do_not_end_the_pass,
    what_opened_and_closed_between_two_passes_is_read,
    what_an_event_opened_and_closed_meanwhile_is_read,
    a_gap_and_an_empty_list_together_hide_nothing,
    markets_that_are_not_open_yet_wait,
    a_date_ahead_does_not_hide_what_opens_next,
    a_gap_that_reaches_into_the_archive_is_told,
    a_season_without_markets_is_asked_for_hourly,
    without_its_marks_a_sync_is_made_when_it_is_due,
}

const HOUR_US: i64 = 60 * MINUTE_US;
const LISTS: [Fault; 2] = [Fault::EmptyList, Fault::EmptyPageWithCursor];

fn day(us: i64) -> String {
    kalshi_ingest::domain::time::Timestamp::from_micros(us).to_string()
}

fn a_first_list_that_is_empty_once_is_not_believed(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    for (series, flag) in [("KXS", "--series"), ("KXE-1", "--event")] {
        let market = format!("{series}-1-A");
        let event = if flag == "--series" { format!("{series}-1") } else { series.to_owned() };
        open(&bench, &market, &event);
        trade(&bench, &market, 1, 30, NOON_US - 10 * SECOND_US);
        bench.exchange.script_for("/markets", [Fault::EmptyList]);
        assert_eq!(bench.pass(&[flag, series]), 0, "{series}");
    }
    bench.assert_complete(&["KXS-1-A", "KXE-1-1-A"], "their events show them");
    assert_eq!(members(database), 2);
    let resolved = "select count(*) as x from selection_watches where resolved_at is not null";
    assert_eq!(database.number(resolved), 0, "two answers that disagree say nothing");
    bench.advance(MINUTE_US);
    assert_eq!(bench.pass(&["--series", "KXS", "--event", "KXE-1"]), 0);
    assert_eq!(database.number(resolved), 2);
}

fn a_backfill_does_not_end_well_over_an_empty_list(database: &Database) {
    let cutoff = NOON_US - 60 * DAY_US;
    let rules = Rules {
        markets_cutoff_s: cutoff / SECOND_US,
        cutoff_s: cutoff / SECOND_US,
        ..Rules::default()
    };
    let bench = Bench::new(database, rules);
    open(&bench, "KXS-1-A", "KXS-1");
    trade(&bench, "KXS-1-A", 1, 30, NOON_US - HOUR_US);
    let old = Market::new("KXS-0-A", "KXS-0", cutoff - 3 * DAY_US, cutoff - 2 * DAY_US);
    bench.exchange.add_market(Market { settled_us: Some(cutoff - DAY_US), ..old });
    trade(&bench, "KXS-0-A", 2, 30, cutoff - 2 * DAY_US - HOUR_US);
    let (from, to) = (day(NOON_US - 70 * DAY_US), day(NOON_US - MINUTE_US * 10));
    let flags = ["--series", "KXS", "--from", &from, "--to", &to];
    let force = [&flags[..], &["--force"]].concat();
    for (path, flags) in [
        ("/markets", &flags[..]),
        ("/historical/markets", &flags[..]),
        ("/markets", &force[..]),
        ("/historical/markets", &force[..]),
    ] {
        for fault in LISTS {
            for table in ["prediction_markets", "selection_watches", "ingestion_windows"] {
                database.execute(&format!("delete from {table}"));
            }
            bench.exchange.script_for(path, [fault]);
            let exit = bench.main("backfill", flags);
            let known = database.number("select count(*) as x from prediction_markets");
            assert!(exit == 6 || known == 2, "{path}, {fault:?}: {exit}, {known} known");
            bench.exchange.clear_faults();
            let output = bench.process_of("backfill", flags);
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(0), "{path}, {fault:?}, again: {said}");
            bench.assert_complete(&["KXS-0-A", "KXS-1-A"], "nothing is left out");
        }
    }
    database.execute("delete from prediction_markets");
    database.execute("delete from selection_watches");
    bench.exchange.script_for("/markets", [Fault::EmptyList]);
    let exit = bench.main("completeness", &["--series", "KXS", "--min-score", "0.999"]);
    assert_ne!(exit, 0, "a universe without its live markets");
    let again = bench.main("completeness", &["--series", "KXS", "--min-score", "0.999"]);
    assert_eq!(again, 0, "{:?}", database.texts("select market_ticker || status || open_time || close_time || settlement_time || volume_e2 as x from prediction_markets"));
}

fn a_list_of_changes_that_is_empty_once_hides_nothing(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    open(&bench, "KXS-1-A", "KXS-1");
    assert_eq!(bench.main("markets", &["--series", "KXS"]), 0);
    bench.advance(2 * HOUR_US);
    let now = bench.exchange.now_us();
    bench.exchange.add_market(Market {
        updated_us: now,
        ..Market::new("KXS-1-B", "KXS-1", now - HOUR_US, now + HOUR_US)
    });
    bench.advance(MINUTE_US);
    trade(&bench, "KXS-1-B", 1, 30, now - MINUTE_US);
    let (from, to) = (day(NOON_US), day(now));
    let flags = ["--series", "KXS", "--from", &from, "--to", &to];
    bench.exchange.script_for("/markets", [Fault::EmptyList]);
    bench.advance(10 * MINUTE_US);
    assert_eq!(bench.main("backfill", &flags), 6, "a list that knows nothing of KXS-1-B");
    assert_eq!(bench.main("backfill", &flags), 0);
    bench.assert_complete(&["KXS-1-B"], "it was listed all the same");
}

fn a_later_page_that_is_empty_is_no_end(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    bench.exchange.change(|world| {
        for n in 0..2_300 {
            let name = format!("KXS-1-{n:04}");
            world.add_market(Market::new(&name, "KXS-1", NOON_US - DAY_US, NOON_US + DAY_US));
        }
    });
    for (pages, fault) in [(1, LISTS[0]), (2, LISTS[0]), (1, LISTS[1]), (2, LISTS[1])] {
        for table in ["prediction_markets", "selection_watches", "selection_members"] {
            database.execute(&format!("delete from {table}"));
        }
        let script = std::iter::repeat_n(Fault::None, pages).chain([fault, Fault::None]);
        bench.exchange.script_for("/markets", script);
        assert_eq!(bench.main("markets", &["--series", "KXS"]), 0);
        let known = database.number("select count(*) as x from prediction_markets");
        assert_eq!(known, 2_300, "{fault:?} after {pages} pages");
        bench.exchange.clear_faults();
    }
    // An answer that goes on saying so is not believed, either.
    let none = Fault::None;
    for table in ["prediction_markets", "selection_watches"] {
        database.execute(&format!("delete from {table}"));
    }
    bench.exchange.script_for("/markets", [none, LISTS[0], none, LISTS[0], LISTS[0]]);
    assert_eq!(bench.main("markets", &["--series", "KXS"]), 4);
}

fn a_list_that_ends_with_a_full_page_ends(database: &Database) {
    let rules = Rules { cursor_after_full_page: true, ..Rules::default() };
    let bench = Bench::new(database, rules);
    for count in [1_000, 1_001] {
        open(&bench, &format!("KXS-1-{count}"), "KXS-1");
        bench.exchange.change(|world| {
            for n in 0..999 {
                let name = format!("KXS-1-{n:04}");
                world.add_market(Market::new(&name, "KXS-1", NOON_US - DAY_US, NOON_US + DAY_US));
            }
        });
        database.execute("delete from selection_watches");
        assert_eq!(bench.main("markets", &["--series", "KXS"]), 0);
        let known = database.number("select count(*) as x from prediction_markets");
        assert_eq!(known, count);
    }
}

fn a_list_whose_filter_was_not_heard_is_refused(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    open(&bench, "KXS-1-A", "KXS-1");
    for n in 0..200 {
        open(&bench, &format!("KXF{}-1-{n}", n % 7), &format!("KXF{}-1", n % 7));
    }
    bench.exchange.fail_always("/markets", Some(Fault::IgnoredFilters));
    for flags in [["--series", "KXS"], ["--event", "KXS-1"], ["--market", "KXS-1-A"]] {
        assert_eq!(bench.pass(&flags), 4, "{flags:?}");
        assert_eq!(bench.main("markets", &flags), 4, "{flags:?}");
        let foreign =
            "select count(*) as x from prediction_markets where market_ticker like 'KXF%'";
        assert_eq!(database.number(foreign), 0, "{flags:?}: nothing joins");
        let read =
            "select count(*) as x from ingestion_checkpoints where market_ticker like 'KXF%'";
        assert_eq!(database.number(read), 0, "{flags:?}: nothing is read");
    }
    bench.exchange.fail_always("/markets", None);
    assert_eq!(bench.pass(&["--series", "KXS", "--event", "KXS-1"]), 0);
    assert_eq!(members(database), 2);
}

fn events_of_other_names_belong_to_their_series(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    bench.exchange.add_group("CPI-22DEC", "KXCPI", "The old spelling");
    open(&bench, "CPI-22DEC-T1", "CPI-22DEC");
    open(&bench, "KXCPI-26-T1", "KXCPI-26");
    for (pass, count) in [("first", 2), ("second", 1)] {
        requests(&bench);
        assert_eq!(bench.pass(&["--series", "KXCPI"]), 0);
        let lists = bench.exchange.requests().into_iter();
        let lists = lists
            .filter(|asked| {
                asked.path.contains("/markets") && !asked.path.ends_with("/trades")
                    || asked.path.contains("/events")
            })
            .count();
        assert_eq!(lists, count, "{pass}: an event is asked for once");
        bench.advance(MINUTE_US);
    }
    assert_eq!(members(database), 2);
}

fn events_that_nobody_explains_do_not_end_the_pass(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    bench.exchange.add_group("CPI-22DEC", "KXCPI", "The old spelling");
    open(&bench, "CPI-22DEC-T1", "CPI-22DEC");
    open(&bench, "KXN-1-A", "KXN-1");
    trade(&bench, "KXN-1-A", 1, 30, NOON_US - 10 * SECOND_US);
    // The list of the series is empty, its events show a market, and whose event that is nobody says.
    bench.exchange.script_for("/markets", [Fault::EmptyList]);
    let refused = std::iter::repeat_n(Fault::Status(404), 3);
    bench.exchange.script_for("/events", std::iter::once(Fault::None).chain(refused));
    assert_eq!(bench.pass(&["--series", "KXCPI", "--market", "KXN-1-A"]), 0);
    bench.assert_complete(&["KXN-1-A"], "what is known is read all the same");
    assert_eq!(members(database), 0, "and nothing is believed of the others");
    bench.exchange.clear_faults();
    bench.advance(MINUTE_US);
    assert_eq!(bench.pass(&["--series", "KXCPI", "--market", "KXN-1-A"]), 0);
    assert_eq!(members(database), 1);
}

/// Markets of fifteen minutes, each with trades; `count` of them were over before this instant.
fn quarters(bench: &Bench<'_>, event: &str, count: i64, are_settled: bool) -> Vec<String> {
    let mut names = Vec::new();
    for n in 0..count {
        let name = format!("{event}-Q{n}");
        let opens = NOON_US + (15 * n + 1) * MINUTE_US;
        let closes = opens + 15 * MINUTE_US;
        let settled_us = are_settled.then_some(closes + MINUTE_US);
        let status = are_settled.then_some(kalshi_simulator::Status::Finalized);
        let market = Market::new(&name, event, opens, closes);
        bench.exchange.add_market(Market { settled_us, status, ..market });
        trade(bench, &name, u64::try_from(n).unwrap(), 20, closes - MINUTE_US);
        names.push(name);
    }
    names
}

fn what_opened_and_closed_between_two_passes_is_read(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    open(&bench, "KXQ-0-LONG", "KXQ-0");
    let before = Market::new("KXQ-0-OLD", "KXQ-0", NOON_US - DAY_US, NOON_US - HOUR_US / 2);
    bench.exchange.add_market(before);
    trade(&bench, "KXQ-0-OLD", 99, 10, NOON_US - HOUR_US);
    assert_eq!(bench.pass(&["--series", "KXQ"]), 0);
    let mut all: Vec<String> = Vec::new();
    all.extend(quarters(&bench, "KXQ-1", 3, false));
    all.extend(quarters(&bench, "KXQ-2", 3, true));
    bench.advance(HOUR_US);
    requests(&bench);
    assert_eq!(bench.pass(&["--series", "KXQ"]), 0);
    let names: Vec<&str> = all.iter().map(String::as_str).collect();
    bench.assert_complete(&names, "all of them, and none from before the selection");
    let lists = bench.exchange.requests().into_iter();
    let lists: Vec<_> = lists.filter(|asked| asked.path.ends_with("/markets")).collect();
    assert_eq!(lists.len(), 3, "what settled meanwhile, and hourly the open ones by status");
    // Nor do they come back: they are read once and retire.
    for _ in 0..20 {
        bench.advance(MINUTE_US);
        assert_eq!(bench.pass(&["--series", "KXQ"]), 0);
    }
    assert_eq!(super::retired(database), 3, "those that are settled");
    assert_eq!(members(database), 4);
}

/// The first list after the gap is empty, too.
fn a_gap_and_an_empty_list_together_hide_nothing(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    assert_eq!(bench.pass(&["--series", "KXQ"]), 2, "not there yet");
    bench.exchange.add_series("KXQ", "By the quarter");
    bench.advance(10 * MINUTE_US);
    assert_eq!(bench.pass(&["--series", "KXQ"]), 0);
    let all = quarters(&bench, "KXQ-1", 20, true);
    bench.advance(6 * HOUR_US);
    bench.exchange.script_for("/markets", [Fault::EmptyList]);
    assert_eq!(bench.pass(&["--series", "KXQ"]), 0);
    bench.advance(MINUTE_US);
    assert_eq!(bench.pass(&["--series", "KXQ"]), 0);
    let names: Vec<&str> = all.iter().map(String::as_str).collect();
    bench.assert_complete(&names, "all of them");
}

fn what_an_event_opened_and_closed_meanwhile_is_read(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    open(&bench, "KXQ-1-LONG", "KXQ-1");
    assert_eq!(bench.pass(&["--event", "KXQ-1"]), 0);
    let all = quarters(&bench, "KXQ-1", 40, true);
    bench.advance(11 * HOUR_US);
    assert_eq!(bench.pass(&["--event", "KXQ-1"]), 0);
    let names: Vec<&str> = all.iter().map(String::as_str).collect();
    bench.assert_complete(&names, "however long it took");
}

fn markets_that_are_not_open_yet_wait(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    open(&bench, "KXS-1-NOW", "KXS-1");
    let later = Market::new("KXS-1-LATER", "KXS-1", NOON_US + HOUR_US, NOON_US + DAY_US);
    bench.exchange.add_market(later);
    for event in [["--series", "KXS"], ["--event", "KXS-1"]] {
        assert_eq!(bench.pass(&event), 0);
    }
    assert_eq!(members(database), 2, "one of each entry");
    bench.advance(HOUR_US + MINUTE_US);
    assert_eq!(bench.pass(&["--series", "KXS", "--event", "KXS-1"]), 0);
    assert_eq!(members(database), 4);
}

fn a_date_ahead_does_not_hide_what_opens_next(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    open(&bench, "KXQ-0-LONG", "KXQ-0");
    assert_eq!(bench.pass(&["--series", "KXQ"]), 0);
    // One pass hears a date twelve hours ahead.
    bench.advance(MINUTE_US);
    bench.exchange.advance(12 * HOUR_US);
    bench.pass(&["--series", "KXQ"]);
    bench.exchange.set_now(NOON_US + MINUTE_US);
    let all = quarters(&bench, "KXQ-1", 8, true);
    bench.advance(6 * HOUR_US);
    bench.pass(&["--series", "KXQ"]);
    let names: Vec<&str> = all.iter().map(String::as_str).collect();
    let checkpoints =
        "select count(*) as x from ingestion_checkpoints where market_ticker like 'KXQ-1%'";
    assert_eq!(database.number(checkpoints), i64::try_from(names.len()).unwrap(), "all are found");
}

fn a_gap_that_reaches_into_the_archive_is_told(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    bench.exchange.add_market(Market::new(
        "KXS-1-A",
        "KXS-1",
        NOON_US - DAY_US,
        NOON_US + 200 * DAY_US,
    ));
    assert_eq!(bench.pass(&["--series", "KXS"]), 0);
    bench.advance(80 * DAY_US);
    bench.exchange.change(|world| {
        let cutoff_s = (NOON_US + 20 * DAY_US) / SECOND_US;
        (world.rules.cutoff_s, world.rules.markets_cutoff_s) = (cutoff_s, cutoff_s);
    });
    let output = bench.process_of("run", &["--series", "KXS"]);
    let said = stderr(&output);
    assert!(said.contains("`backfill --series KXS --from 20"), "{said}");
    bench.advance(MINUTE_US);
    let said = stderr(&bench.process_of("run", &["--series", "KXS"]));
    assert!(!said.contains("backfill"), "once: {said}");
}

/// An upgrade may take the marks away: then all is listed once more, and soon.
fn without_its_marks_a_sync_is_made_when_it_is_due(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    for selection in [["--series", "KXA"], ["--event", "KXA-1"], ["--market", "KXA-1-A"]] {
        open(&bench, "KXA-1-A", "KXA-1");
        let flags = [&selection[..], &["--sync-markets", "5m"]].concat();
        assert_eq!(bench.pass(&flags), 0);
        database.execute("update selection_watches set synced_until = null");
        database.execute("update prediction_markets set title = 'old'");
        bench.advance(6 * MINUTE_US);
        assert_eq!(bench.pass(&flags), 0);
        let old = "select count(*) as x from prediction_markets where title = 'old'";
        assert_eq!(database.number(old), 0, "{selection:?}");
    }
}

fn a_season_without_markets_is_asked_for_hourly(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    bench.exchange.add_series("KXSEASON", "Only in spring");
    let mut asked = Vec::new();
    for _ in 0..130 {
        requests(&bench);
        assert_eq!(bench.pass(&["--series", "KXSEASON", "--sync-markets", "5m"]), 0);
        asked.push(requests(&bench));
        bench.advance(MINUTE_US);
    }
    let more: usize = asked[1..].iter().map(|count| count - 1).sum();
    assert!(more <= 12, "one list a pass, and little more: {asked:?}");
    assert!(asked[1..59].iter().all(|count| *count == 1), "within the hour: {asked:?}");
    let marks = "select count(*) as x from selection_watches where synced_until is not null";
    assert_eq!(database.number(marks), 0, "no mark over nothing");
    open(&bench, "KXSEASON-1-A", "KXSEASON-1");
    assert_eq!(bench.pass(&["--series", "KXSEASON"]), 0);
    assert_eq!(members(database), 1, "spring");
}
