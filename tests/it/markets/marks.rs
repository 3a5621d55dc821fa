//! Up to when a sync believes that it knows all changes.

use kalshi_simulator::{Market, Rules, Status, seeded_trades};

use super::{HOUR_US, MINUTE_US, market_count, open_market, statuses};
use crate::support::bench::{Bench, DAY_US, NOON_US, stderr};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    pooled:
    a_date_hours_ahead_hides_no_market,
    two_clocks_ahead_are_held_against_the_newest_trade,
    a_mark_in_the_future_is_lowered_and_told_once,
    an_answer_from_a_cache_is_no_sync_of_now,
    a_sighting_from_the_future_keeps_nothing_out,
    a_sighting_from_a_clock_that_is_ahead_is_none_of_the_future,
    our_clock_once_ahead_does_not_put_a_sync_off,
}

const KXA: [&str; 2] = ["--series", "KXA"];

/// A market that opens, closes and settles within the hours that a wrong clock would skip.
fn add_short_lived(bench: &Bench<'_>, ticker: &str, opens: i64) {
    let closes = opens + HOUR_US;
    bench.exchange.add_market(Market {
        status: Some(Status::Finalized),
        result: "yes".into(),
        settled_us: Some(closes + MINUTE_US),
        updated_us: closes + MINUTE_US,
        ..Market::new(ticker, "KXA-1", opens, closes)
    });
}

fn a_date_hours_ahead_hides_no_market(database: &Database) {
    for (round, with_trades) in [(0, false), (1, true)] {
        let bench = Bench::new(database, Rules::default());
        let noon = NOON_US + round * 10 * DAY_US;
        bench.set_now(noon);
        let first = format!("KXA-1-{round}");
        bench.exchange.add_market(open_market(&first, "KXA-1"));
        if with_trades {
            let trades = seeded_trades(1, &first, 9, noon - 10 * MINUTE_US, noon);
            bench.exchange.add_all(trades);
            assert_eq!(bench.pass(&KXA), 0);
        }
        bench.exchange.advance(5 * HOUR_US);
        assert_eq!(bench.main("markets", &KXA), 0);
        bench.set_now(noon + 4 * HOUR_US);
        add_short_lived(&bench, &format!("KXA-1-SHORT{round}"), noon + HOUR_US);
        bench.set_now(noon + 6 * HOUR_US);
        let before = market_count(database);
        assert_eq!(bench.main("markets", &KXA), 0);
        assert_eq!(market_count(database), before + 1, "with trades: {with_trades}");
    }
}

fn two_clocks_ahead_are_held_against_the_newest_trade(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    bench.exchange.add_market(open_market("KXA-1-X", "KXA-1"));
    bench.exchange.add_all(seeded_trades(1, "KXA-1-X", 9, NOON_US - 10 * MINUTE_US, NOON_US));
    assert_eq!(bench.pass(&KXA), 0);
    bench.advance(5 * HOUR_US);
    assert_eq!(bench.main("markets", &KXA), 0);
    bench.set_now(NOON_US + 4 * HOUR_US);
    add_short_lived(&bench, "KXA-1-SHORT", NOON_US + HOUR_US);
    bench.set_now(NOON_US + 6 * HOUR_US);
    assert_eq!(bench.main("markets", &KXA), 0);
    assert_eq!(market_count(database), 2);
}

fn a_mark_in_the_future_is_lowered_and_told_once(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    bench.exchange.add_market(open_market("KXA-1-X", "KXA-1"));
    assert_eq!(bench.main("markets", &KXA), 0);
    let future = kalshi_ingest::domain::time::Timestamp::from_micros(NOON_US + 9 * DAY_US);
    database.execute(&format!("update selection_watches set synced_until = '{future}'"));
    add_short_lived(&bench, "KXA-1-SHORT", NOON_US - 2 * HOUR_US);
    bench.advance(MINUTE_US);
    let output = bench.process_of("markets", &KXA);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("series:KXA was synced until"), "{}", stderr(&output));
    assert_eq!(market_count(database), 2, "everything is listed anew");
    let kept = format!(
        "select count(*) as x from claim_corrections where market_ticker = 'series:KXA'
         and claim = 'synced_until' and claimed = '{future}' and proven is null and run_id = 2"
    );
    assert_eq!(database.number(&kept), 1);
    let output = bench.process_of("markets", &KXA);
    assert!(!stderr(&output).contains("was synced until"), "{}", stderr(&output));
    assert_eq!(database.number("select count(*) as x from claim_corrections"), 1);
}

fn an_answer_from_a_cache_is_no_sync_of_now(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    bench.exchange.add_market(open_market("KXA-1-X", "KXA-1"));
    bench.exchange.change(|world| world.rules.age_s = Some(7_200));
    assert_eq!(bench.main("markets", &KXA), 0);
    bench.exchange.change(|world| world.rules.age_s = None);
    // It was there already, and the cached answer did not have it.
    add_short_lived(&bench, "KXA-1-SHORT", NOON_US - 2 * HOUR_US);
    bench.advance(MINUTE_US);
    assert_eq!(bench.main("markets", &KXA), 0);
    assert_eq!(market_count(database), 2);
}

fn a_sighting_from_the_future_keeps_nothing_out(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    bench.exchange.add_market(open_market("KXA-1-X", "KXA-1"));
    bench.exchange.advance(9 * HOUR_US);
    assert_eq!(bench.main("markets", &KXA), 0);
    bench.set_now(NOON_US + 10 * MINUTE_US);
    bench.exchange.change_market("KXA-1-X", |market| market.status = Some(Status::Inactive));
    assert_eq!(bench.main("markets", &KXA), 0);
    assert_eq!(statuses(database), [("KXA-1-X".to_owned(), "inactive".to_owned())]);
    assert_eq!(super::change_count(database), 2, "and the change is on record");
}

fn a_sighting_from_a_clock_that_is_ahead_is_none_of_the_future(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    let set = |status| {
        bench.exchange.change_market("KXA-1-X", |market| market.status = Some(status));
    };
    bench.exchange.add_market(open_market("KXA-1-X", "KXA-1"));
    bench.exchange.add_all(seeded_trades(1, "KXA-1-X", 9, NOON_US - 10 * MINUTE_US, NOON_US));
    assert_eq!(bench.pass(&KXA), 0);
    // By less than an hour, or by more: the clock of the pass before says when it was.
    for (hours, minutes) in [(1, 40), (9, 80)] {
        bench
            .exchange
            .set_now(NOON_US + minutes * MINUTE_US - 10 * MINUTE_US + hours * HOUR_US / 2);
        set(Status::Inactive);
        assert_eq!(bench.main("markets", &KXA), 0);
        set(Status::Active);
        bench.set_now(NOON_US + minutes * MINUTE_US);
        assert_eq!(bench.main("markets", &KXA), 0);
        assert_eq!(statuses(database), [("KXA-1-X".to_owned(), "active".to_owned())], "{hours}");
    }
    assert_eq!(super::change_count(database), 5, "and all changes are on record");
}

fn our_clock_once_ahead_does_not_put_a_sync_off(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    bench.exchange.add_market(open_market("KXA-1-X", "KXA-1"));
    let flags = [&KXA[..], &["--sync-markets", "1h"]].concat();
    bench.clock.turn(30 * DAY_US);
    assert_eq!(bench.pass(&flags), 0);
    bench.set_now(NOON_US + 2 * HOUR_US);
    add_short_lived(&bench, "KXA-1-SHORT", NOON_US);
    assert_eq!(bench.pass(&flags), 0);
    assert_eq!(market_count(database), 2);
}
