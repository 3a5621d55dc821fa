//! Over, gone: nothing is for good.

use kalshi_simulator::{Market, Rules, Status};

use super::{MINUTE_US, SECOND_US, members, open, requests, retired, trade};
use crate::support::bench::{Bench, DAY_US, NOON_US};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    pooled:
    a_market_that_lists_leave_out_is_read_on,
    a_market_that_is_gone_by_mistake_comes_back,
    a_market_that_is_called_settled_by_mistake_comes_back,
    a_settlement_that_lies_ahead_is_not_believed,
    trades_after_the_settlement_contradict_it,
    what_is_over_costs_one_request_at_most,
    a_list_that_leaves_out_a_member_proves_nothing,
    combos_that_never_traded_are_gone_at_once,
    a_retired_market_on_the_tape_is_taken_back,
}

const FLAGS: [[&str; 2]; 3] = [["--market", "KXS-1-A"], ["--event", "KXS-1"], ["--series", "KXS"]];

/// Minute by minute: a few trades, then a pass.
fn live(bench: &Bench<'_>, flags: &[&str], minutes: usize, seed: &mut u64, is_trading: bool) {
    for _ in 0..minutes {
        bench.advance(MINUTE_US);
        *seed += 1;
        // The tape is never silent.
        trade(bench, "KXO-1-A", *seed, 5, bench.exchange.now_us() - 8 * SECOND_US);
        if is_trading {
            trade(bench, "KXS-1-A", *seed, 5, bench.exchange.now_us() - 8 * SECOND_US);
        }
        assert_eq!(bench.pass(flags), 0, "minute {seed}");
    }
}

fn bench(database: &Database) -> Bench<'_> {
    let bench = Bench::new(database, Rules::default());
    database.execute(
        "delete from prediction_markets; delete from selection_watches; delete from selection_members;
         delete from ingestion_checkpoints; delete from prediction_market_trades;
         delete from raw_kalshi_trade_events",
    );
    open(&bench, "KXS-1-A", "KXS-1");
    open(&bench, "KXS-1-B", "KXS-1");
    bench
}

fn a_market_that_lists_leave_out_is_read_on(database: &Database) {
    for flags in FLAGS {
        let (bench, mut seed) = (bench(database), 0);
        live(&bench, &flags, 2, &mut seed, true);
        bench.exchange.leave_out("KXS-1-A", true);
        live(&bench, &flags, 25, &mut seed, true);
        assert_eq!(retired(database), 0, "{flags:?}: asked for alone it is there");
        bench.exchange.leave_out("KXS-1-A", false);
        live(&bench, &flags, 1, &mut seed, true);
        bench.assert_complete(&["KXS-1-A"], "all the while");
    }
}

fn a_market_that_is_gone_by_mistake_comes_back(database: &Database) {
    for flags in FLAGS {
        let (bench, mut seed) = (bench(database), 0);
        live(&bench, &flags, 2, &mut seed, true);
        let market = bench.exchange.market("KXS-1-A").unwrap();
        bench.exchange.remove_market("KXS-1-A");
        // A market named alone is looked at every quarter of an hour.
        live(&bench, &flags, 30, &mut seed, false);
        assert_eq!(retired(database), 1, "{flags:?}: it is gone");
        bench.exchange.add_market(market);
        live(&bench, &flags, 30, &mut seed, true);
        bench.assert_complete(&["KXS-1-A"], "within as long as the error lasted");
        assert_eq!(retired(database), 0, "{flags:?}");
    }
}

fn a_market_that_is_called_settled_by_mistake_comes_back(database: &Database) {
    for flags in FLAGS {
        for minutes in [10, 40] {
            let (bench, mut seed) = (bench(database), 0);
            live(&bench, &flags, 2, &mut seed, true);
            let before = bench.exchange.market("KXS-1-A").unwrap();
            bench.exchange.settle_market("KXS-1-A", "yes", 10_000);
            live(&bench, &flags, minutes, &mut seed, false);
            assert!(minutes < 20 || retired(database) == 1, "{flags:?}: it is over");
            bench.exchange.add_market(before);
            live(&bench, &flags, minutes, &mut seed, true);
            assert_eq!(retired(database), 0, "{flags:?}, {minutes} minutes");
            bench.assert_complete(&["KXS-1-A"], "within as long as the error lasted");
        }
    }
}

fn a_settlement_that_lies_ahead_is_not_believed(database: &Database) {
    let (bench, mut seed) = (bench(database), 0);
    bench.exchange.change_market("KXS-1-A", |market| {
        market.status = Some(Status::Finalized);
        market.settled_us = Some(NOON_US + 60 * MINUTE_US);
    });
    live(&bench, &["--market", "KXS-1-A"], 20, &mut seed, true);
    assert_eq!(retired(database), 0);
    bench.assert_complete(&["KXS-1-A"], "it is read on");
}

fn trades_after_the_settlement_contradict_it(database: &Database) {
    let (bench, mut seed) = (bench(database), 0);
    live(&bench, &["--market", "KXS-1-A"], 2, &mut seed, true);
    bench.exchange.settle_market("KXS-1-A", "yes", 10_000);
    live(&bench, &["--market", "KXS-1-A"], 20, &mut seed, true);
    bench.assert_complete(&["KXS-1-A"], "it trades on");
    assert_eq!(retired(database), 0);
}

fn what_is_over_costs_one_request_at_most(database: &Database) {
    let bench = bench(database);
    bench.exchange.change(|world| {
        for n in 0..150 {
            let name = format!("KXS-0-{n:03}");
            let market = Market::new(&name, "KXS-0", NOON_US - DAY_US, NOON_US + DAY_US);
            world.add_market(market);
        }
    });
    assert_eq!(bench.pass(&["--series", "KXS"]), 0);
    bench.exchange.change(|world| {
        for n in 0..150 {
            world.settle_market(&format!("KXS-0-{n:03}"), "no", 0);
        }
    });
    // The tape is never without a trade.
    let pass_time = |seed: u64| {
        bench.advance(MINUTE_US);
        trade(&bench, "KXO-1-A", seed, 3, bench.exchange.now_us() - 8 * SECOND_US);
    };
    for minute in 0..10 {
        pass_time(minute);
        let output = bench.process_of("run", &["--series", "KXS"]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!((retired(database), members(database)), (150, 2));
    let mut asked = Vec::new();
    for minute in 10..40 {
        pass_time(minute);
        requests(&bench);
        assert_eq!(bench.pass(&["--series", "KXS"]), 0);
        let of_lists = bench.exchange.requests().into_iter();
        asked.push(of_lists.filter(|asked| !asked.path.ends_with("/trades")).count());
    }
    assert!(asked.iter().all(|count| *count <= 2), "the list, and a batch: {asked:?}");
}

fn a_list_that_leaves_out_a_member_proves_nothing(database: &Database) {
    let bench = bench(database);
    assert_eq!(bench.pass(&["--series", "KXS"]), 0);
    bench.advance(2 * MINUTE_US);
    bench.exchange.on_request(|_| {});
    // The series' list is short; by name it is there.
    bench.exchange.script_for("/markets", [kalshi_simulator::Fault::EmptyList]);
    bench.exchange.fail_always("/events", Some(kalshi_simulator::Fault::EmptyList));
    let resolved = "select resolved_at as x from selection_watches";
    let before = database.texts(resolved);
    assert_eq!(bench.pass(&["--series", "KXS"]), 0);
    assert_eq!(database.texts(resolved), before, "the list is not believed");
}

fn combos_that_never_traded_are_gone_at_once(database: &Database) {
    let bench = bench(database);
    for name in ["KXMVES-1-A", "KXMVES-1-B"] {
        let market = Market::new(name, "KXMVES-1", NOON_US - DAY_US, NOON_US + DAY_US);
        bench.exchange.add_market(Market { is_combo: true, is_provisional: true, ..market });
    }
    assert_eq!(bench.pass(&["--series", "KXMVES"]), 0);
    bench.exchange.remove_market("KXMVES-1-A");
    bench.advance(2 * MINUTE_US);
    requests(&bench);
    assert_eq!(bench.pass(&["--series", "KXMVES"]), 0);
    let vanished = "select count(*) as x from prediction_markets where status = 'vanished'";
    assert_eq!(database.number(vanished), 1);
    let alone = bench.exchange.requests().into_iter();
    assert_eq!(alone.filter(|asked| asked.path.ends_with("/KXMVES-1-A")).count(), 0);
}

fn a_retired_market_on_the_tape_is_taken_back(database: &Database) {
    use kalshi_ingest::domain::selection::{Selection, Shard, Target, Watch};
    use kalshi_ingest::domain::ticker::Ticker;
    use kalshi_ingest::domain::time::Timestamp;
    let (bench, mut seed) = (bench(database), 0);
    live(&bench, &["--series", "KXS"], 2, &mut seed, true);
    bench.exchange.settle_market("KXS-1-A", "yes", 10_000);
    live(&bench, &["--series", "KXS"], 8, &mut seed, false);
    assert_eq!((retired(database), members(database)), (1, 1));
    let now = Timestamp::from_micros(bench.exchange.now_us());
    let series = Target::Series(Ticker::new("KXS").unwrap());
    let watch = Watch { target: series, sla: std::time::Duration::from_secs(300) };
    let selection = Selection::new([watch], Shard::WHOLE);
    let mut store = database.open();
    let run = store.begin_run("run", now).unwrap();
    let market = Ticker::new("KXS-1-A").unwrap();
    let mut take_back = |newest: Timestamp| {
        let newest = std::collections::BTreeMap::from([(market.clone(), newest)]);
        kalshi_ingest::ingest::take_back_traded(&selection, store.as_mut(), run, &newest, now)
            .unwrap()
            .len()
    };
    assert_eq!(take_back(Timestamp::from_micros(NOON_US)), 0, "that trade was read");
    assert_eq!(take_back(now), 1, "that one was not");
    assert_eq!((retired(database), members(database)), (0, 2));
}
