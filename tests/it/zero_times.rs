//! Instants that stand for none: Go's zero time, and years without end.

use kalshi_simulator::{Market, Rules, Status, seeded_trades};

use crate::support::bench::{Bench, DAY_US, NOON_US};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    pooled:
    a_market_without_credible_times_is_filled_and_scored,
    times_on_record_heal_with_the_upgrade,
}

const HOUR_US: i64 = 3_600_000_000;
/// `0001-01-01T00:00:00Z`
const ZERO_US: i64 = -62_135_596_800_000_000;
/// `9999-12-31T23:59:59Z`
const ENDLESS_US: i64 = 253_402_300_799_000_000;
/// `1970-01-01T00:00:00Z`
const EPOCH_US: i64 = 0;

const TIMES: [(&str, Option<i64>, Option<i64>); 6] = [
    ("KXS-A-CLOSE", None, Some(ZERO_US)),
    ("KXS-A-OPEN", Some(ZERO_US), None),
    ("KXS-A-BOTH", Some(ZERO_US), Some(ZERO_US)),
    ("KXS-A-EPOCH", Some(EPOCH_US), Some(EPOCH_US)),
    ("KXS-A-ENDLESS", None, Some(ENDLESS_US)),
    ("KXS-A-SOUND", None, None),
];

fn bench(database: &Database) -> Bench<'_> {
    let bench = Bench::new(database, Rules::default());
    for ((market, open_us, close_us), seed) in TIMES.into_iter().zip(1..) {
        let (opens, closes) = (NOON_US - 20 * HOUR_US, NOON_US + DAY_US);
        bench.exchange.add_market(Market {
            open_us: open_us.unwrap_or(opens),
            close_us: close_us.unwrap_or(closes),
            expected_expiration_us: close_us,
            latest_expiration_us: close_us.unwrap_or(closes),
            status: Some(Status::Active),
            ..Market::new(market, "KXS-A", opens, closes)
        });
        let from = NOON_US - 19 * HOUR_US;
        bench.exchange.add_all(seeded_trades(seed, market, 50, from, NOON_US - 2 * HOUR_US));
    }
    bench
}

fn instant(us: i64) -> String {
    kalshi_ingest::domain::time::Timestamp::from_micros(us).to_string()
}

fn a_market_without_credible_times_is_filled_and_scored(database: &Database) {
    let bench = bench(database);
    let flags = ["--series", "KXS", "--min-score", "1"];
    for (is_settled, is_windowed) in [(false, false), (false, true), (true, false), (true, true)] {
        if is_settled {
            for (market, ..) in TIMES {
                bench.exchange.settle_market(market, "yes", 10_000);
            }
        }
        database.execute(
            "delete from ingestion_windows; delete from raw_kalshi_trade_events;
             delete from prediction_market_trades",
        );
        let (from, until) = (instant(NOON_US - 2 * DAY_US), instant(NOON_US - HOUR_US));
        let window = ["--from", &from, "--to", &until];
        let scored = if is_windowed { [&flags[..], &window].concat() } else { flags.to_vec() };
        bench.exchange.forget_requests();
        assert_eq!(bench.main("completeness", &scored), 6, "nothing is stored");
        let asked = bench.exchange.requests();
        let candles = asked.iter().filter(|asked| asked.path.ends_with("/candlesticks")).count();
        assert!(candles <= 60, "{candles} requests for candles");
        let fill = [&["--series", "KXS"][..], &window].concat();
        assert_eq!(bench.main("backfill", &fill), 0);
        bench.assert_complete(&TIMES.map(|(market, ..)| market), "each of them");
        assert_eq!(bench.main("completeness", &scored), 0, "all is stored");
    }
    for column in ["open_time", "close_time", "latest_expiration_time"] {
        let odd = format!(
            "select count(*) as x from prediction_markets
             where {column} < '2020-01-01' or {column} > '2300-01-01'"
        );
        assert_eq!(database.number(&odd), 0, "{column}");
    }
    let absent = "select count(*) as x from prediction_markets where close_time is null";
    assert_eq!(database.number(absent), 4);
}

fn times_on_record_heal_with_the_upgrade(database: &Database) {
    let bench = bench(database);
    assert_eq!(bench.main("markets", &["--series", "KXS"]), 0);
    let zero = if database.url.starts_with("sqlite:") {
        "'0001-01-01T00:00:00.000000Z'"
    } else {
        "'0001-01-01 00:00:00+00'"
    };
    database.execute(&format!(
        "update prediction_markets set open_time = {zero}, close_time = {zero},
             settlement_time = {zero} where market_ticker like '%-CLOSE'"
    ));
    database.undo_steps_from_008();
    // Nothing says anew what the market is: the list of the series is down.
    bench.exchange.fail_always("/markets", Some(kalshi_simulator::Fault::Status(503)));
    assert_eq!(bench.main("migrate", &[]), 0);
    let kept = "select count(*) as x from prediction_markets where market_ticker like '%-CLOSE'
        and open_time is null and close_time is null and settlement_time is null";
    assert_eq!(database.number(kept), 1);
}
