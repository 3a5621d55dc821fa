//! Every shape that events have had, and events that are no trades, through whole passes.

use kalshi_simulator::{Rules, Shape, Trade, seeded_trades};

use crate::support::bench::{Bench, NOON_US};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    every_shape_is_stored_exactly,
    a_recorded_file_is_stored_row_by_row,
    a_refused_event_is_quarantined_and_blocks_nothing,
    unknown_fields_are_kept_in_the_raw_event,
}

const SECOND_US: i64 = 1_000_000;

/// The same trades as an older API would have served them: whole cents, whole contracts.
fn reshaped(trade: &Trade, shape: Shape) -> Trade {
    let mut trade = trade.clone();
    if matches!(shape, Shape::Cents | Shape::CentsOnly) {
        trade.yes_price_e6 = (trade.yes_price_e6 / 10_000).clamp(1, 99) * 10_000;
        trade.count_e2 = (trade.count_e2 / 100).max(1) * 100;
    }
    trade.shape = shape;
    trade
}

fn every_shape_is_stored_exactly(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    let shapes = [
        Shape::Current,
        Shape::CurrentWithoutTakerSide,
        Shape::Spring,
        Shape::Cents,
        Shape::CentsOnly,
    ];
    let markets: Vec<String> = (0..shapes.len()).map(|n| format!("KXS{n}")).collect();
    let until = NOON_US - 10 * SECOND_US;
    for (shape, market) in shapes.into_iter().zip(&markets) {
        let trades = seeded_trades(3, market, 400, until - 600 * SECOND_US, until);
        bench.exchange.add_all(trades.iter().map(|trade| reshaped(trade, shape)));
    }
    assert_eq!(bench.run(&markets.join(","), &[]), 0);
    let names: Vec<&str> = markets.iter().map(String::as_str).collect();
    bench.assert_complete(&names, "all shapes");
    assert_eq!(database.raw_counts(), (2_000, 0));
}

fn a_recorded_file_is_stored_row_by_row(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    bench.exchange.set_offset_us(0);
    let file = include_str!("fixtures/recorded.jsonl");
    assert_eq!(bench.exchange.load_json_lines(file), Ok(6));
    assert_eq!(bench.run("KXFIXTURE-99", &[]), 0);
    let stored: Vec<String> = database
        .trades()
        .iter()
        .map(|(id, _, side, price, quantity, at, block)| {
            format!("{} {side} {price} {quantity} {at} {block:?}", &id[..2])
        })
        .collect();
    assert_eq!(
        stored,
        [
            "0a no 940000 300 1768057220897212 None",
            "0b yes 60000 100 1768057176373150 None",
            "0c yes 860000 24 1777741909493495 None",
            "0d no 140000 132 1777741819000000 None",
            "0e yes 376500 1261 1784958699544670 Some(false)",
            "0f no 999900 279808 1791438699542929 Some(true)",
        ]
    );
    let mut payloads = database.texts("select payload as x from raw_kalshi_trade_events");
    let mut lines: Vec<Option<String>> = file.lines().map(|line| Some(line.to_owned())).collect();
    payloads.sort();
    lines.sort();
    assert_eq!(payloads, lines, "every event byte for byte");
}

fn a_refused_event_is_quarantined_and_blocks_nothing(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    let until = NOON_US - 10 * SECOND_US;
    bench.exchange.add_all(seeded_trades(4, "KXA", 1_500, until - 600 * SECOND_US, until));
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(3_000), "]".repeat(3_000));
    let strange = [
        ("no-count", "{\"trade_id\":\"no-count\",\"ticker\":\"KXA\"}".to_owned()),
        ("number", "17".to_owned()),
        ("null", "null".to_owned()),
        ("nul", "{\"trade_id\":\"a\\u0000b\",\"ticker\":\"KXA\\u0000\"}".to_owned()),
        ("surrogate", "{\"trade_id\":\"\\ud800\",\"ticker\":\"KXA\"}".to_owned()),
        ("deep", deep),
        ("twice", "{\"trade_id\":\"x\",\"trade_id\":\"y\",\"ticker\":\"KXA\"}".to_owned()),
    ];
    for (n, (id, json)) in (0..).zip(&strange) {
        bench.exchange.add_event("KXA", until - n * 40 * SECOND_US, id, json.clone());
    }
    for pass in 1..=2 {
        assert_eq!(bench.run("KXA", &[]), 0, "pass {pass}");
        assert_eq!(database.raw_counts(), (1_500, 7), "pass {pass}: each kept once");
    }
    assert_eq!(database.trades().len(), 1_500);
    let rejected =
        database.number("select events_rejected as x from ingestion_runs where run_id = 1");
    assert_eq!(rejected, 7);
    let named = database.texts(
        "select rejected as x from raw_kalshi_trade_events where rejected is not null and trade_id = 'no-count'",
    );
    assert_eq!(named, [Some("created_time is missing".to_owned())]);
}

fn unknown_fields_are_kept_in_the_raw_event(database: &Database) {
    let bench = Bench::new(database, Rules { extra_fields: true, ..Rules::default() });
    let until = NOON_US - 10 * SECOND_US;
    bench.exchange.add_all(seeded_trades(5, "KXA", 20, until - 600 * SECOND_US, until));
    assert_eq!(bench.run("KXA", &[]), 0);
    let mut kept = database.texts("select payload as x from raw_kalshi_trade_events");
    let mut served: Vec<Option<String>> =
        bench.exchange.rows("KXA").into_iter().map(Some).collect();
    kept.sort();
    served.sort();
    assert_eq!(kept, served);
}
