//! kill -9 at random instants: nothing lost, nothing doubled, no checkpoint ahead of its rows,
//! and hardly a page read twice.

use std::process::{Child, Stdio};
use std::time::Duration;

use kalshi_ingest::domain::time::Timestamp;
use kalshi_ingest::retry::Jitter;
use kalshi_simulator::{Rules, seeded_trades};

use crate::support::bench::{Bench, NOON_US};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    kills_lose_nothing_and_double_nothing,
}

const SECOND_US: i64 = 1_000_000;
const MARKETS: [&str; 3] = ["KXA", "KXB", "KXC"];
const TRADES: usize = 20_000;
/// What may be fetched and not yet committed: a batch of fifty pages on its way into the
/// database, eight waiting, one just taken, and one in the hands of each reader.
const PAGES_IN_FLIGHT: usize = 50 + 8 + 1 + MARKETS.len();

fn kills_lose_nothing_and_double_nothing(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    let until = NOON_US - 10 * SECOND_US;
    for market in MARKETS {
        bench.exchange.add_all(seeded_trades(1, market, TRADES, until - 3_600 * SECOND_US, until));
    }
    let mut truth = bench.truth(&MARKETS);
    let mut random = Jitter::seeded(42);
    let mut kills = 0;
    for _ in 0..100 {
        let mut child = bench
            .command(&MARKETS.join(","), &["-q"])
            .env("KALSHI_WORKERS", "3")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let is_killed = kill_at_work(&bench, &mut child, &mut random, 50.0);
        kills += usize::from(is_killed);
        assert_no_checkpoint_is_ahead(database, &truth);
        bench.advance(SECOND_US);
        if kills >= 12 && !is_killed {
            break;
        }
        if !is_killed {
            // It got through: new work for the next victims.
            let now = bench.exchange.now_us();
            bench.advance(3_600 * SECOND_US);
            for (n, market) in (0..).zip(MARKETS) {
                let seed = 1_000 + u64::try_from(kills).unwrap() * 10 + n;
                let until = now + 3_500 * SECOND_US;
                bench.exchange.add_all(seeded_trades(seed, market, TRADES, now, until));
            }
            truth = bench.truth(&MARKETS);
        }
    }
    assert!(kills >= 12, "only {kills} were killed at work");
    bench.advance(60 * SECOND_US);
    assert_eq!(bench.run(&MARKETS.join(","), &[]), 0);
    let truth = bench.truth(&MARKETS);
    bench.assert_complete(&MARKETS, "after all kills");
    let requests = bench.exchange.requests();
    let read: usize = requests.iter().map(|asked| asked.row_count).sum();
    let surplus = read.saturating_sub(truth.len()) / 1_000;
    let allowed = (kills + 1) * PAGES_IN_FLIGHT;
    assert!(
        surplus <= allowed,
        "{surplus} pages read twice after {kills} kills, {allowed} allowed"
    );
}

/// Kills a process as soon as it has asked for so many pages at most, and a moment later; whether it
/// was still at work. However busy the machine is, it comes to be at work.
pub(crate) fn kill_at_work(
    bench: &Bench<'_>,
    child: &mut Child,
    random: &mut Jitter,
    pages_max: f64,
) -> bool {
    let before = bench.exchange.trades_request_count();
    let wanted = Duration::from_secs(1).mul_f64(1.0 + pages_max * random.next_fraction()).as_secs();
    while bench.exchange.trades_request_count() - before < wanted {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(60).mul_f64(random.next_fraction()));
    child.kill().unwrap();
    child.wait().unwrap().code().is_none()
}

/// Every trade of the exchange that the checkpoints claim is stored: all of a completed window,
/// and of an interrupted one all above the point it has come down to.
fn assert_no_checkpoint_is_ahead(
    database: &Database,
    truth: &[crate::support::database::StoredTrade],
) {
    // First the claims, then the rows: rows only grow.
    let reports = database
        .open()
        .report(kalshi_ingest::store::Reported::All, Timestamp::from_seconds(0))
        .unwrap();
    let stored = database.trade_ids();
    for checkpoint in reports.into_iter().map(|report| report.checkpoint) {
        for trade in truth.iter().filter(|trade| trade.1 == checkpoint.scope.as_str()) {
            let at = Timestamp::from_micros(trade.5);
            let is_complete = checkpoint.complete_until.is_some_and(|until| at < until);
            let is_walked = checkpoint.walk.as_ref().is_some_and(|walk| {
                at < walk.window.until() && walk.low.is_some_and(|low| at > low)
            });
            assert!(
                stored.contains(&trade.0) || !(is_complete || is_walked),
                "{checkpoint:?} claims {trade:?}, which is not stored"
            );
        }
    }
    let surplus = "select (select count(*) from raw_kalshi_trade_events) \
                  - (select count(*) from prediction_market_trades) as x";
    assert_eq!(database.number(surplus), 0, "a raw event for each trade, and no other");
    let distinct = "select count(*) - count(distinct trade_id) as x from raw_kalshi_trade_events";
    assert_eq!(database.number(distinct), 0, "no raw event twice");
    database.assert_counted();
}
