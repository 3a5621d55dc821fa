//! What the exchange should never send: nothing of it is lost, and it costs nothing else.

use kalshi_simulator::{Rules, Trade, seeded_trades};

use crate::support::bench::{Bench, DAY_US, NOON_US, stderr};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    pooled:
    impossible_dates_are_kept_and_told_and_are_no_trades,
    a_date_a_day_ahead_is_judged_by_the_clock_that_is_ahead,
    replay_refuses_impossible_dates_as_well,
    bytes_that_are_no_text_block_nothing,
    a_broken_row_does_not_end_a_walk_of_many_pages,
    what_is_no_page_is_told_and_read_when_it_is_one,
}

const SECOND_US: i64 = 1_000_000;
const REJECTED: &str =
    "select rejected as x from raw_kalshi_trade_events where rejected is not null";

fn dated(id: &str, time: &str) -> String {
    let trade = Trade { trade_id: id.to_owned(), ..seeded_trades(1, "KXA", 1, 0, 1).remove(0) };
    let json = trade.json();
    let own = json.split("\"created_time\":\"").nth(1).unwrap().split('"').next().unwrap();
    json.replace(own, time)
}

/// Some trades of the last ten minutes.
fn bench_with_trades(database: &Database, count: usize) -> Bench<'_> {
    let bench = Bench::new(database, Rules::default());
    let until = NOON_US - 10 * SECOND_US;
    bench.exchange.add_all(seeded_trades(4, "KXA", count, until - 600 * SECOND_US, until));
    bench.list_markets("KXA");
    bench
}

const DATES: [(&str, &str); 8] = [
    ("9999-12-31T23:59:59.999999Z", "later than all clocks"),
    ("2026-07-27T00:00:00Z", "later than all clocks"),
    ("0001-01-01T00:00:00Z", "before the exchange had trades"),
    ("0000-01-01T00:00:00Z", "before the exchange had trades"),
    ("1970-01-01T00:00:00Z", "before the exchange had trades"),
    ("2026-07-25T17:19:60Z", "not an RFC 3339 instant"),
    ("2026-02-30T00:00:00Z", "not an RFC 3339 instant"),
    ("2026-07-25T17:19:00+25:00", "not an RFC 3339 instant"),
];

fn impossible_dates_are_kept_and_told_and_are_no_trades(database: &Database) {
    for command in ["run", "tape", "backfill"] {
        let selected = Database::like(database);
        let bench = bench_with_trades(&selected, 1_500);
        for (n, (time, _)) in (0..).zip(DATES) {
            // Between the others, at the end and at the head of the list.
            let id = format!("odd-{n}");
            let ago = if n % 2 == 0 { 100 * n } else { 20 };
            let place = NOON_US - ago * SECOND_US;
            bench.exchange.add_event("KXA", place, &id, dated(&id, time));
        }
        let flags: &[&str] = match command {
            "run" => &["--market", "KXA", "-q"],
            "tape" => &["--all", "-q"],
            _ => &[
                "--market",
                "KXA",
                "-q",
                "--from",
                "2026-07-25T16:00:00Z",
                "--to",
                "2026-07-25T17:20:00Z",
            ],
        };
        if command == "backfill" {
            bench.set_now(NOON_US + 600 * SECOND_US);
        }
        let name = if command == "tape" { "run" } else { command };
        for pass in 1..=2 {
            let output = bench.process_of(name, flags);
            let said = stderr(&output);
            assert_eq!(output.status.code(), Some(0), "{command}, pass {pass}: {said}");
            assert_eq!(
                said.contains("could not be read as trades"),
                pass == 1,
                "{command}: {said}"
            );
            assert_eq!(selected.raw_counts(), (1_500, 8), "{command}, pass {pass}");
            bench.advance(10 * SECOND_US);
        }
        assert_eq!(selected.trades().len(), 1_500, "{command}");
        let reasons = selected.texts(&format!("{REJECTED} order by trade_id"));
        for ((time, words), reason) in DATES.iter().zip(reasons) {
            let reason = reason.unwrap_or_default();
            assert!(reason.contains(time) && reason.contains(words), "{command}: {reason}");
        }
    }
}

fn a_date_a_day_ahead_is_judged_by_the_clock_that_is_ahead(database: &Database) {
    let bench = bench_with_trades(database, 10);
    bench.exchange.add_event(
        "KXA",
        NOON_US - 20 * SECOND_US,
        "soon",
        dated("soon", "2026-07-26T17:19:59Z"),
    );
    bench.exchange.add_event(
        "KXA",
        NOON_US - 21 * SECOND_US,
        "later",
        dated("later", "2026-07-27T17:19:59Z"),
    );
    assert_eq!(bench.run("KXA", &[]), 0);
    assert_eq!(database.raw_counts().1, 1, "within a day of both");
    bench.clock.turn(DAY_US + SECOND_US);
    bench.exchange.add_event(
        "KXA",
        NOON_US - 22 * SECOND_US,
        "last",
        dated("last", "2026-07-27T17:19:59Z"),
    );
    bench.exchange.add_event(
        "KXA",
        NOON_US - 23 * SECOND_US,
        "never",
        dated("never", "2026-07-27T17:20:02Z"),
    );
    bench.exchange.advance(SECOND_US);
    bench.run("KXA", &[]);
    let odd = database.texts(
        "select trade_id as x from raw_kalshi_trade_events where rejected is not null order by 1",
    );
    assert_eq!(odd, [Some("later".to_owned()), Some("never".to_owned())]);
}

fn replay_refuses_impossible_dates_as_well(database: &Database) {
    let bench = bench_with_trades(database, 10);
    for (n, (time, _)) in (0..).zip(DATES) {
        let id = format!("odd-{n}");
        bench.exchange.add_event("KXA", NOON_US - 20 * SECOND_US - n, &id, dated(&id, time));
    }
    assert_eq!(bench.run("KXA", &[]), 0);
    // As builds before this one left it, and one that would be possible by now.
    database.execute("update raw_kalshi_trade_events set rejected = null where trade_id = 'odd-2'");
    bench.advance(10 * DAY_US);
    database.execute("delete from prediction_market_trades");
    assert_eq!(bench.main("replay", &[]), 0);
    assert_eq!(database.trades().len(), 10);
    assert_eq!(bench.main("replay", &["--into", "other"]), 0);
    assert_eq!(database.number("select count(*) as x from other"), 10);
    database.assert_counted();
    // What came while our clock was behind comes back nevertheless.
    database
        .execute("update raw_kalshi_trade_events set received_at = '2001-01-01T00:00:00.000000Z'");
    database.execute("delete from prediction_market_trades");
    assert_eq!(bench.main("replay", &[]), 0);
    assert_eq!(database.trades().len(), 10);
    database.assert_counted();
}

fn bytes_that_are_no_text_block_nothing(database: &Database) {
    let bench = bench_with_trades(database, 1_500);
    let good = dated("odd", "2026-07-25T17:10:00Z");
    let with = |bytes: &[u8]| [b"{\"x\":\"", bytes, b"\",", &good.as_bytes()[1..]].concat();
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let twice = good.replacen('{', "{\"trade_id\":\"twice\",", 1);
    let strange: Vec<Vec<u8>> = vec![
        with(b"\0"),
        with(b"\x1f"),
        with(b"\xff"),
        with(b"\xed\xa0\x80"),
        with(b"\xc3"),
        with(b"\\u00"),
        with(b"\" \""),
        b"{\"trade_id\":\"open".to_vec(),
        b"{\"trade_id\":{\"open\":[1".to_vec(),
        b"\0".to_vec(),
        b"NaN".to_vec(),
        deep.into_bytes(),
        twice.into_bytes(),
        good.replace("\"ticker\":\"KXA\"", "\"ticker\":7").into_bytes(),
        b"[]".to_vec(),
        b"1e999999".to_vec(),
    ];
    let count = i64::try_from(strange.len()).unwrap();
    for (n, bytes) in (1..).zip(&strange) {
        let place = NOON_US - 10 * SECOND_US - n * 35 * SECOND_US;
        bench.exchange.add_event("KXA", place, &format!("strange-{n}"), bytes.clone());
    }
    // What JSON may hold is a trade, whatever it is.
    let fine = String::from_utf8(with(b"\\u0000\\ud800")).unwrap().replace("17:10:00", "17:19:49");
    bench.exchange.add_event("KXA", NOON_US - 11 * SECOND_US, "fine", fine.clone());
    for pass in 1..=2 {
        for flags in [&["--market", "KXA"][..], &["--all"]] {
            assert_eq!(bench.pass(flags), 0, "pass {pass}");
            // Without a ticker that can be read it is the tape's, and a row of its own.
            let kept = database.number(&format!(
                "select count(*) as x from ({REJECTED} and market_ticker = 'KXA') as t"
            ));
            assert_eq!(kept, count, "pass {pass}: {:?}", database.texts(REJECTED));
            bench.advance(SECOND_US);
        }
    }
    assert_eq!(database.trades().len(), 1_501);
    let payload = database.texts("select payload as x from raw_kalshi_trade_events where rejected like 'it is not UTF-8%' order by event_id");
    assert!(payload[0].as_ref().unwrap().contains("\\udc"), "{payload:?}");
    let named = "select count(*) as x from raw_kalshi_trade_events where rejected like 'it is not %' and trade_id = 'odd' and market_ticker = 'KXA'";
    assert_eq!(database.number(named), 5, "keys that can be read are");
    let kept = "select payload as x from raw_kalshi_trade_events where trade_id = 'odd' and rejected is null";
    assert_eq!(database.texts(kept), [Some(fine)]);
    assert_eq!(bench.main("replay", &[]), 0);
    assert_eq!(database.trades().len(), 1_501);
}

fn a_broken_row_does_not_end_a_walk_of_many_pages(database: &Database) {
    let bench = bench_with_trades(database, 4_200);
    for n in 0..40 {
        let place = NOON_US - 11 * SECOND_US - n * 14 * SECOND_US;
        bench.exchange.add_event(
            "KXA",
            place,
            &format!("x{n}"),
            format!("{{\"n\":{n},\"x\":\"\0\"}}"),
        );
    }
    assert_eq!(bench.run("KXA", &[]), 0);
    assert_eq!(bench.pass(&["--market", "KXA", "--overlap", "1h"]), 0);
    assert_eq!(database.raw_counts(), (4_200, 40));
    bench.assert_complete(&["KXA"], "around the broken ones");
    assert!(database.complete_until("KXA").is_some());
}

fn what_is_no_page_is_told_and_read_when_it_is_one(database: &Database) {
    let bench = bench_with_trades(database, 100);
    bench.exchange.add_all(seeded_trades(
        5,
        "KXB",
        100,
        NOON_US - 600 * SECOND_US,
        NOON_US - 10 * SECOND_US,
    ));
    // A bracket that ends the list, and the answer with it.
    bench.exchange.add_event("KXA", NOON_US - 60 * SECOND_US, "end", "]}");
    let output = bench.process("KXA,KXB", &["-q"]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert!(stderr(&output).contains("not a page of trades"), "{}", stderr(&output));
    assert_eq!(database.trades().len(), 100, "the other market's");
    bench.exchange.add_event("KXA", NOON_US - 60 * SECOND_US, "end", "{}");
    bench.advance(SECOND_US);
    assert_eq!(bench.run("KXA,KXB", &[]), 0);
    bench.assert_complete(&["KXA", "KXB"], "when it is a page");
}
