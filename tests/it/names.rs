//! Names that lists cannot say, and what is missing by name.

use kalshi_simulator::{Market, Rules, seeded_trades};

use crate::support::bench::{Bench, DAY_US, NOON_US, stderr};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    pooled:
    archived_names_with_blanks_and_commas_are_filled_and_scored,
    odd_names_can_be_selected_and_are_asked_for_alone,
    odd_names_that_trade_are_read_and_scored,
    what_both_lists_leave_out_is_asked_for_by_itself,
    a_description_that_cannot_be_read_is_told_on_every_backfill,
    a_series_refused_for_its_names_is_listed_again_after_the_upgrade,
}

const SECOND_US: i64 = 1_000_000;
const HOUR_US: i64 = 3_600 * SECOND_US;

/// As the archive really has them, and a plain one.
const ODD: [(&str, &str); 4] = [
    ("GDP-232022 Q4-T2.5", "GDP-232022 Q4"),
    ("GDP-22SEP10-C220,000", "GDP-22SEP10"),
    ("GDP-23JUL-H>25", "GDP-23JUL"),
    ("GDP-23-PLAIN", "GDP-23"),
];

/// The markets of a series that settled a hundred days ago and are archived, with their trades.
fn archive(database: &Database) -> Bench<'_> {
    let bench = Bench::new(database, Rules::default());
    let closes = NOON_US - 100 * DAY_US;
    bench.set_now(closes);
    bench.exchange.add_series("GDP", "Growth");
    for ((ticker, event), seed) in ODD.into_iter().zip(1..) {
        bench.exchange.add_group(event, "GDP", "Growth");
        bench.exchange.add_market(Market::new(ticker, event, closes - DAY_US, closes));
        let (from, until) = (closes - 10 * HOUR_US, closes - HOUR_US);
        bench.exchange.add_all(seeded_trades(seed, ticker, 300, from, until));
        bench.exchange.settle_market(ticker, "yes", 10_000);
    }
    bench.set_now(NOON_US);
    bench.exchange.change(|world| {
        world.rules.markets_cutoff_s = (NOON_US - 60 * DAY_US) / SECOND_US;
        world.rules.cutoff_s = world.rules.markets_cutoff_s;
    });
    bench
}

fn instant(us: i64) -> String {
    kalshi_ingest::domain::time::Timestamp::from_micros(us).to_string()
}

/// No list was asked for a name that it cannot say.
#[track_caller]
fn assert_sayable(bench: &Bench<'_>) {
    for asked in bench.exchange.requests() {
        for name in ["tickers", "market_tickers"] {
            let is_repeated = asked.path.ends_with("/orderbooks");
            if let Some(list) = asked.param(name).filter(|_| !is_repeated) {
                assert!(!list.contains(' ') && !list.contains("C220"), "{}?{list}", asked.path);
            }
        }
    }
}

fn archived_names_with_blanks_and_commas_are_filled_and_scored(database: &Database) {
    let bench = archive(database);
    let (from, until) = (instant(NOON_US - 102 * DAY_US), instant(NOON_US - 98 * DAY_US));
    let window = ["--series", "GDP", "--from", &from, "--to", &until];
    assert_eq!(bench.main("backfill", &window), 0);
    let all = ODD.map(|(ticker, _)| ticker);
    bench.assert_complete(&all, "each of them");
    for flags in [&window[..], &window[..2]] {
        let output = bench.process_of(
            "completeness",
            &[flags, &["--min-score", "1", "--output", "json"]].concat(),
        );
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(value["universe"]["markets"], 4, "{value}");
        assert_eq!(value["universe"]["complete"], 4, "{value}");
    }
    database.execute(
        "delete from prediction_market_trades where market_ticker like 'GDP-22SEP10-C220%'",
    );
    let flags = [&window[..], &["--min-score", "0.9"]].concat();
    assert_eq!(bench.main("completeness", &flags), 6, "one is missing");
    assert_sayable(&bench);
    let series = "select count(*) as x from prediction_markets where series_ticker = 'GDP'";
    assert_eq!(database.number(series), 4);
}

fn odd_names_can_be_selected_and_are_asked_for_alone(database: &Database) {
    let bench = archive(database);
    let (from, until) = (instant(NOON_US - 102 * DAY_US), instant(NOON_US - 98 * DAY_US));
    let names = r"GDP-232022 Q4-T2.5,GDP-22SEP10-C220\,000,GDP-23JUL-H>25";
    let flags = ["--market", names, "--event", "GDP-232022 Q4"];
    let window = [&flags[..], &["--from", &from, "--to", &until]].concat();
    assert_eq!(bench.main("backfill", &window), 0);
    bench.assert_complete(&ODD.map(|(ticker, _)| ticker)[..3], "those that were named");
    for pass in 0..2 {
        assert_eq!(bench.pass(&flags), 0, "pass {pass}");
        bench.advance(60 * SECOND_US);
    }
    assert_eq!(bench.main("status", &flags), 0);
    assert_eq!(bench.main("markets", &flags), 0);
    assert_eq!(bench.main("orderbooks", &flags), 0);
    assert_sayable(&bench);
    let csv = bench.process_of("status", &[&flags[..], &["--output", "csv"]].concat());
    let csv = String::from_utf8_lossy(&csv.stdout).into_owned();
    let columns = csv.lines().next().unwrap().split(',').count();
    let odd = csv.lines().find(|line| line.starts_with("\"GDP-22SEP10-C220,000\","));
    assert_eq!(odd.unwrap().split(',').count(), columns + 1, "quoted: {csv}");
    let metrics = bench.process_of("status", &[&flags[..], &["--output", "prometheus"]].concat());
    let metrics = String::from_utf8_lossy(&metrics.stdout).into_owned();
    assert!(metrics.contains("{watch=\"GDP-232022 Q4-T2.5\"}"), "{metrics}");
    // A series has no such name: most likely a list was meant.
    let typed = bench.process_of("run", &["--series", "GDP CPI"]);
    assert_eq!(typed.status.code(), Some(2));
}

fn odd_names_that_trade_are_read_and_scored(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    bench.exchange.add_series("KXS", "Odd");
    let markets = ["KXS-A B-1", "KXS-A,B-2", "KXS-A-3"];
    for (ticker, seed) in markets.into_iter().zip(1..) {
        bench.exchange.add_group(&ticker[..5], "KXS", "Odd");
        bench.exchange.add_market(Market::new(
            ticker,
            &ticker[..5],
            NOON_US - 11 * HOUR_US,
            NOON_US + DAY_US,
        ));
        let (from, until) = (NOON_US - 10 * HOUR_US, NOON_US - 2 * HOUR_US);
        bench.exchange.add_all(seeded_trades(seed, ticker, 200, from, until));
    }
    assert_eq!(bench.pass(&["--series", "KXS"]), 0);
    bench.assert_complete(&markets, "from the list of the series");
    let flags = ["--series", "KXS", "--min-score", "1"];
    assert_eq!(bench.main("completeness", &flags), 0, "their candles have routes of their own");
    database.execute("delete from prediction_market_trades where market_ticker = 'KXS-A B-1'");
    assert_eq!(bench.main("completeness", &flags), 6);
    assert_eq!(bench.main("orderbooks", &["--series", "KXS"]), 0);
    assert_eq!(database.number("select count(*) as x from orderbook_snapshots"), 3);
    assert_sayable(&bench);
    let named = "select count(*) as x from prediction_markets where series_ticker = 'KXS'";
    assert_eq!(database.number(named), 3);
}

fn what_both_lists_leave_out_is_asked_for_by_itself(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    bench.list_markets("KXA-1-1");
    let typos: Vec<String> = (0..9).map(|n| format!("KXA-1-TYPO{n}")).collect();
    let flags = ["--market", &format!("KXA-1-1,{},KXA B-TYPO", typos.join(","))];
    let output = bench.process_of("run", &flags);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let lines = stderr(&output);
    let told = typos.iter().filter(|typo| lines.contains(&format!("no market {typo};"))).count();
    assert_eq!(told, 5, "a few in each pass: {lines}");
    assert!(lines.contains("no market KXA B-TYPO;"), "{lines}");
    let is_single = |path: &str| path.contains("/markets/KXA") && !path.ends_with("/trades");
    let alone = bench.exchange.requests().iter().filter(|asked| is_single(&asked.path)).count();
    assert_eq!(alone, 2 * 5 + 2, "live and archived");
    // All come to their turn.
    let mut said = std::collections::BTreeSet::new();
    for _ in 0..40 {
        let lines = stderr(&bench.process_of("run", &flags));
        said.extend(
            typos.iter().filter(|typo| lines.contains(&format!("no market {typo};"))).cloned(),
        );
        if said.len() == typos.len() {
            break;
        }
    }
    assert_eq!(said.len(), typos.len());
}

fn a_description_that_cannot_be_read_is_told_on_every_backfill(database: &Database) {
    let bench = archive(database);
    let closes = NOON_US - 100 * DAY_US;
    bench.exchange.add_market(Market {
        status: Some(kalshi_simulator::Status::Finalized),
        settled_us: Some(closes),
        ..Market::new("GDP-23-Ä", "GDP-23", closes - DAY_US, closes)
    });
    let (from, until) = (instant(NOON_US - 102 * DAY_US), instant(NOON_US - 98 * DAY_US));
    for command in ["backfill", "backfill", "completeness", "backfill"] {
        let flags = ["--series", "GDP", "--from", &from, "--to", &until, "-q"];
        let output = bench.process_of(command, &flags);
        assert_eq!(output.status.code(), Some(6), "{command}: {}", stderr(&output));
        let said = stderr(&output);
        assert!(said.contains("the description of a market could not be read"), "{said}");
    }
    bench.assert_complete(&ODD.map(|(ticker, _)| ticker), "the others are filled");
}

fn a_series_refused_for_its_names_is_listed_again_after_the_upgrade(database: &Database) {
    let bench = archive(database);
    // An earlier version synced the series and took what it could read.
    assert_eq!(bench.main("markets", &["--series", "GDP"]), 0);
    database.execute("delete from prediction_markets where market_ticker like '% %'");
    database.undo_steps_from_008();
    let output = bench.process_of("markets", &["--series", "GDP"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(database.number("select count(*) as x from prediction_markets"), 4);
}
