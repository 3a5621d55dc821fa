//! Everything: what `--all` lists, and in how many requests.

use kalshi_simulator::{Market, Rules, Status};

use super::{
    HOUR_US, MINUTE_US, SECOND_US, asked, invoke, market_count, open_market, queries, rows,
};
use crate::support::bench::{Bench, DAY_US, NOON_US};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    pooled:
    everything_is_what_is_not_settled_without_combos,
    twenty_thousand_markets_take_a_page_a_thousand,
}

/// Adds so many markets, fifty an event.
fn add(bench: &Bench<'_>, count: usize, prefix: &str, change: impl Fn(&mut Market)) {
    bench.exchange.change(|world| {
        for n in 0..count {
            let event = format!("{prefix}-{}", n / 50);
            let mut market = open_market(&format!("{event}-{n:05}"), &event);
            // A list is sorted by this; ties are allowed.
            market.created_us += i64::try_from(n / 3).unwrap();
            change(&mut market);
            world.add_market(market);
        }
    });
}

fn counts(database: &Database) -> Vec<(String, String)> {
    let columns = ["status", "count(*)"].map(str::to_owned);
    let from = "prediction_markets group by status order by status";
    rows(database, &columns, from).into_iter().map(|row| super::pair(&row)).collect()
}

fn everything_is_what_is_not_settled_without_combos(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    add(&bench, 3_000, "KXOPEN", |_| {});
    add(&bench, 100, "KXSOON", |market| {
        (market.open_us, market.updated_us) = (NOON_US + DAY_US, NOON_US - DAY_US);
    });
    add(&bench, 50, "KXPAUSED", |market| {
        market.status = Some(Status::Inactive);
        market.close_us = NOON_US - HOUR_US;
    });
    add(&bench, 200, "KXCLOSED", |market| market.close_us = NOON_US - HOUR_US);
    add(&bench, 400, "KXSETTLED", |market| {
        market.status = Some(Status::Finalized);
        market.settled_us = Some(NOON_US - HOUR_US);
    });
    add(&bench, 300, "KXMVEX", |market| market.is_combo = true);
    assert_eq!(invoke(&bench, "markets", &["--all"]), 0);
    let live = |status: &str| format!("/markets?status={status}&mve_filter=exclude");
    let requests = queries(&asked(&bench));
    let lists = [
        live("unopened"),
        live("open"),
        live("open"),
        live("open"),
        live("paused"),
        live("closed"),
    ];
    assert_eq!(requests[..6], lists, "each status, and nothing that is settled");
    assert_eq!(requests.len(), 7, "67 events are one request: {:?}", &requests[6..]);
    let expected =
        [("active", "3000"), ("closed", "200"), ("inactive", "50"), ("initialized", "100")];
    assert_eq!(counts(database), super::pairs(&expected));
    let without_series = "select count(*) as x from prediction_markets where series_ticker is null";
    assert_eq!(database.number(without_series), 0);
    // What settles now is a change of a known one; so is what settled before it was ever seen.
    bench.advance(30 * SECOND_US);
    bench.exchange.settle_market("KXCLOSED-3-00199", "yes", 10_000);
    bench.exchange.settle_market("KXMVEX-0-00000", "no", 0);
    assert_eq!(invoke(&bench, "markets", &["--all"]), 0);
    let since = NOON_US / SECOND_US - 60;
    let query = format!("/markets?min_updated_ts={since}&mve_filter=exclude");
    assert_eq!(queries(&asked(&bench)), [query]);
    let expected = [
        ("active", "3000"),
        ("closed", "199"),
        ("finalized", "1"),
        ("inactive", "50"),
        ("initialized", "100"),
    ];
    assert_eq!(counts(database), super::pairs(&expected));
}

fn twenty_thousand_markets_take_a_page_a_thousand(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    add(&bench, 20_000, "KXOPEN", |_| {});
    assert_eq!(invoke(&bench, "markets", &["--all"]), 0);
    let requests = asked(&bench);
    assert_eq!(market_count(database), 20_000);
    let lists = requests.iter().filter(|asked| asked.path.ends_with("/markets")).count();
    let events = requests.len() - lists;
    assert_eq!(lists, 23, "twenty pages, and three statuses that no market has");
    assert_eq!(events, 4, "400 events tell their series a hundred at a time");
    bench.advance(5 * MINUTE_US);
    bench.exchange.change_market("KXOPEN-7-00350", |market| market.close_us += DAY_US);
    assert_eq!(invoke(&bench, "markets", &["--all"]), 0);
    let requests = asked(&bench);
    assert_eq!((requests.len(), requests[0].row_count), (1, 1), "what changed is one request");
}
