//! A pass by threads and a pass by one thread: the same trades, and by one thread in the same order each time.

use std::sync::Arc;
use std::time::Duration;

use kalshi_ingest::clock::{Budget, Clock as _, StopFlag, TurnedClock};
use kalshi_ingest::domain::batch::Committed;
use kalshi_ingest::domain::job::{Background, Job};
use kalshi_ingest::domain::page::Rules;
use kalshi_ingest::domain::time::Timestamp;
use kalshi_ingest::ingest::{self, Asker, Drive, Ended, Source, Stop};
use kalshi_ingest::kalshi::{Access, Client, Endpoint};
use kalshi_ingest::pace::Pace;
use kalshi_ingest::retry::{Dice, Policy};
use kalshi_simulator::{Exchange, Rules as Manner, seeded_trades};

use crate::support::bench::{DAY_US, NOON_US};
use crate::support::database::{Database, on_both_stores};
use crate::support::scopes;

on_both_stores!(every_drive_stores_the_same);

const MARKETS: [&str; 4] = ["KXA", "KXB", "KXC", "KXD"];
/// A page and a bit.
const TRADES: usize = 1_100;

/// One first pass; what was asked, in order.
fn pass(database: &Database, exchange: &Exchange, (drive, dice): (Drive, Dice)) -> Vec<String> {
    let server = exchange.serve().unwrap();
    let endpoint = Endpoint::new(&server.base_url(), "/markets/trades").unwrap();
    let client = Client::new(Access { endpoint, signer: None, connections: 3, proxy: None });
    let clock = Arc::new(TurnedClock::start(Timestamp::from_micros(NOON_US), 1));
    let budget = Budget::new(clock.clone(), Duration::from_secs(60), StopFlag::default());
    let asker = Asker::new(client, Pace::new(1_000.0), Policy::default(), budget, dice);
    let mut store = database.open();
    let run = store.begin_run("run", clock.now()).unwrap();
    let checkpoints = store.checkpoints(&scopes(&MARKETS), clock.now()).unwrap();
    let jobs = checkpoints.iter().cloned().map(Job::Market).collect();
    let rules = Rules { pages_max: 100, ..Rules::EXACT };
    let source = Arc::new(Source::new(Arc::new(asker.driven(drive)), rules, Background::default()));
    let before = exchange.requests().len();
    let ledger = Committed::new(checkpoints);
    let mut shown = 0;
    let mut show = |pass_progress: ingest::PassProgress<'_>| shown = pass_progress.markets_done;
    let outcome = ingest::read_all(store.as_mut(), run, ledger, jobs, &source, 3, &mut show);
    assert_eq!((outcome.stop, outcome.unread, outcome.done.len()), (Stop::Level, 0, 4));
    assert!(outcome.done.iter().all(|done| matches!(done.ended, Ended::Level)));
    assert_eq!((outcome.tally.events_ingested, shown), (4_400, 4));
    exchange.requests()[before..].iter().map(|asked| format!("{:?}", asked.query)).collect()
}

fn every_drive_stores_the_same(database: &Database) {
    let exchange = Exchange::new(Manner::default());
    exchange.set_now(NOON_US);
    for (seed, market) in (0..).zip(MARKETS) {
        exchange.add_all(seeded_trades(
            seed,
            market,
            TRADES,
            NOON_US - DAY_US,
            NOON_US - DAY_US / 2,
        ));
    }
    let drives = [
        (Drive::Threads, Dice::default()),
        (Drive::Inline, Dice::seeded(1)),
        (Drive::Inline, Dice::seeded(1)),
    ];
    let mut asked = drives.map(|drive| {
        let other = Database::like(database);
        let asked = pass(&other, &exchange, drive);
        (other.trades(), asked)
    });
    assert_eq!(asked[0].0, asked[1].0, "the same rows");
    assert_eq!(asked[1], asked[2], "the same dice ask the same, in the same order");
    for (_, asked) in &mut asked {
        asked.sort();
    }
    assert_eq!(asked[0].1, asked[1].1, "and threads ask the same in some order");
}
