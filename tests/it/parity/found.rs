//! What the comparison found, each as the shortest list that showed it.

use std::time::Duration;

use kalshi_ingest::domain::page::{Page, Traded};
use kalshi_ingest::domain::slice::{Slice, SliceKey};
use kalshi_ingest::domain::tier::Tier;
use kalshi_ingest::domain::time::Timestamp;
use kalshi_ingest::domain::trade::{Price, Quantity, RawEvent, Side, Trade};

use super::made::{BEGINS, ticker};
use super::operations::{
    Believed, Catalogue, History, Operation, Oversight, SliceWalked, Spot, Store, Work,
};
use super::{Seen, World};
use crate::support::scope;

const NOW: Timestamp = Timestamp::from_seconds(BEGINS + 10);

#[track_caller]
fn alike(operations: &[Operation]) {
    World::new().compare(operations, &mut Seen::default()).unwrap();
}

/// Trades of one id, as many as there are seconds; the newest comes first.
fn events(id: &str, seconds: &[i64]) -> Vec<RawEvent> {
    let event = |second: &i64| {
        let trade = Trade {
            trade_id: id.into(),
            market: ticker("A"),
            side: Side::Yes,
            price: Price::from_e4_cents(500_000).unwrap(),
            quantity: Quantity::from_e2(100).unwrap(),
            traded_at: NOW.before(Duration::from_secs(second.unsigned_abs())),
            is_block_trade: None,
        };
        // The first one that comes has the last payload.
        RawEvent { trade, payload: format!("{{\"at\":{}}}", 9 - second).into() }
    };
    seconds.iter().map(event).collect()
}

fn commit(events: Vec<RawEvent>) -> [Operation; 2] {
    let key = SliceKey::new(ticker("A"), Tier::Live, Timestamp::from_seconds(BEGINS), NOW).unwrap();
    let page = Page {
        events,
        rejected: Vec::new(),
        foreign: 0,
        cursor: None,
        exchange_now: NOW,
        our_now: NOW,
    };
    let slices = vec![Slice::new(key.clone())];
    let walked =
        SliceWalked { key, pages: vec![page], traded: Traded::Unknown, is_confirmed: false };
    [
        Operation::History(History::AddSlices { slices, reset: false, now: NOW }),
        Operation::Store(Store::Commit {
            run: 1,
            now: NOW,
            believed: Believed::Now,
            work: Work::Backfill { slices: vec![walked], broken: Vec::new() },
        }),
    ]
}

/// They were numbered as they came in one store, and by their payload in the other.
#[test]
fn conflicts_of_one_commit_are_kept_in_one_order() {
    let first = commit(events("t1", &[9]));
    let second = commit(events("t1", &[1, 2, 3]));
    alike(&[first, second].concat());
}

/// One store refused to move the place, the other moved it.
#[test]
fn a_replay_of_no_trade_needs_no_table() {
    let target = "trades_new".to_owned();
    let place = Spot { target, from: None, until: None, events_done: 0 };
    alike(&[Operation::History(History::Replay { place, trades: Vec::new() })]);
}

/// Those that retired at one instant came in any order, and the limit left out any of them.
#[test]
fn markets_that_retired_together_are_in_the_order_of_their_names() {
    let names = ["c", "b", "a", "B", "A"];
    let scopes = names.map(scope).into();
    let mut operations = vec![Operation::Store(Store::Checkpoints { scopes, now: NOW })];
    operations.extend(names.map(|name| {
        let refused = vec![format!("market:{name}")];
        Operation::Catalogue(Catalogue::SaveRefusals { refused, lifted: Vec::new(), now: NOW })
    }));
    operations.push(Operation::Oversight(Oversight::Overview { now: NOW }));
    alike(&operations);
}
