//! The live and the historical tier.

use kalshi_simulator::Rules;

use crate::client::{Client, walk};
use crate::{SECOND_US, START_US, exchange, ids, trade};

const CUTOFF_S: i64 = START_US / SECOND_US + 1_800;

#[test]
fn the_cutoff_splits_the_tape_and_the_overlap_joins_it() {
    let rules = Rules { cutoff_s: CUTOFF_S, ..Rules::default() };
    let (exchange, server) = exchange(rules, 500);
    exchange.add(trade(CUTOFF_S * SECOND_US, "on the cutoff"));
    exchange.add(trade(CUTOFF_S * SECOND_US - 1, "just before it"));
    let mut client = Client::new(&server);
    let mut tiers = || {
        let live = walk(&mut client, "/markets/trades", "limit=100").concat();
        (live, walk(&mut client, "/historical/trades", "limit=100").concat())
    };

    let (live, historical) = tiers();
    assert!(live.contains(&"on the cutoff".to_owned()));
    assert!(historical.contains(&"just before it".to_owned()));
    assert_eq!([live.as_slice(), &historical].concat(), ids(&exchange), "apart and complete");

    exchange.change(|world| world.rules.historical_overlap_s = 600);
    let (live, historical) = tiers();
    let shared = historical.iter().filter(|id| live.contains(id)).count();
    let truth = exchange.all_trades();
    let strip = CUTOFF_S * SECOND_US..(CUTOFF_S + 600) * SECOND_US;
    let expected = truth.iter().filter(|trade| strip.contains(&trade.created_us)).count();
    assert!(0 < expected);
    assert_eq!(shared, expected);

    exchange.change(|world| {
        world.rules.historical_overlap_s = 0;
        world.rules.live_overlap_s = 1_800;
    });
    let (live, _) = tiers();
    assert_eq!(live, ids(&exchange), "the live tier still has everything");
}

#[test]
fn asking_the_wrong_tier_gets_nothing() {
    let (_exchange, server) = exchange(Rules { cutoff_s: CUTOFF_S, ..Rules::default() }, 100);
    let mut client = Client::new(&server);
    assert!(client.trades(&format!("max_ts={}", CUTOFF_S - 1)).ids().is_empty());
    assert!(client.get(&format!("/historical/trades?min_ts={CUTOFF_S}")).ids().is_empty());
}

#[test]
fn the_cutoff_may_step_during_a_walk() {
    let (exchange, server) = exchange(Rules::default(), 300);
    exchange.before_each_page(|world, number| {
        if number == 2 {
            world.rules.cutoff_s = CUTOFF_S;
        }
    });
    let mut client = Client::new(&server);
    let seen = walk(&mut client, "/markets/trades", "limit=10").concat();
    assert!(seen.len() < 300 && ids(&exchange).starts_with(&seen), "it ends early");
    let answer = client.get("/historical/cutoff");
    assert_eq!(answer.json()["trades_created_ts"], "2026-09-21T14:56:40Z");
}

#[test]
fn a_cutoff_that_steps_over_a_day_moves_its_trades() {
    const DAY_S: i64 = 86_400;
    const FIRST_S: i64 = START_US / SECOND_US;
    let (exchange, server) = exchange(Rules { cutoff_s: FIRST_S, ..Rules::default() }, 0);
    // Four trades a day for three days, the newest at the end of the third.
    let at_s = |number: i64| FIRST_S + number * DAY_S / 4;
    exchange.add_all((0..12).map(|n| trade(at_s(n) * SECOND_US, &format!("{n:02}"))));
    let all = ids(&exchange);
    exchange.before_each_page(|world, number| match number {
        2 => world.rules.cutoff_s = FIRST_S + DAY_S,
        4 => world.rules.live_overlap_s = DAY_S / 4,
        5 => world.rules.historical_overlap_s = DAY_S / 2,
        _ => (),
    });
    let mut client = Client::new(&server);
    let live = walk(&mut client, "/markets/trades", "limit=5");
    assert_eq!(live, [&all[..5], &all[5..8]], "the first day has left before the second page");
    assert_eq!(exchange.requests().len(), 2);
    let archived = client.get("/historical/trades").ids();
    assert_eq!(archived, all[8..], "and is in the archive");
    assert_eq!(client.trades("").ids(), all[..9], "the overlap may change as well");
    assert_eq!(client.get("/historical/trades").ids(), all[6..]);
}
