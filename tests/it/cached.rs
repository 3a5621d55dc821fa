//! What an answer that lay in a cache tells of time.

use std::sync::Arc;
use std::time::Duration;

use kalshi_ingest::clock::{Clock as _, TurnedClock};
use kalshi_ingest::domain::page::PageRequest;
use kalshi_ingest::domain::tier::Tier;
use kalshi_ingest::domain::time::Timestamp;
use kalshi_ingest::kalshi::{Access, Client, Endpoint};
use kalshi_simulator::{Exchange, Rules, seeded_trades};

use crate::support::bench::NOON_US;
use crate::support::scope;

const LEFT: Duration = Duration::from_secs(10);
const HOUR_US: i64 = 3_600_000_000;

#[test]
fn an_answer_speaks_as_of_its_date_less_its_age() {
    let exchange = Exchange::new(Rules::default());
    exchange.set_now(NOON_US);
    exchange.add_all(seeded_trades(1, "KXA", 10, NOON_US - HOUR_US, NOON_US));
    let server = exchange.serve().unwrap();
    let endpoint = Endpoint::new(&server.base_url(), "/markets/trades").unwrap();
    let client = Client::new(Access { endpoint, signer: None, connections: 1, proxy: None });
    let clock = Arc::new(TurnedClock::start(Timestamp::from_micros(NOON_US), 1));
    let request = PageRequest {
        scope: scope("KXA"),
        tier: Tier::Live,
        min_ts: None,
        max_ts: None,
        cursor: None,
    };
    for (age_s, seconds, why) in [
        (None, 0, "no cache"),
        (Some(0), 0, "a cache that asked again"),
        (Some(1), 1, "a moment"),
        (Some(660), 660, "eleven minutes"),
        (Some(u64::MAX), 365 * 86_400, "nonsense is very old"),
    ] {
        exchange.change(|world| world.rules.age_s = age_s);
        let page = client.trades(&request, LEFT, clock.as_ref()).unwrap();
        let as_of = Timestamp::from_micros(NOON_US).before(Duration::from_secs(seconds));
        assert_eq!(page.exchange_now, as_of, "{why}");
        let (_, as_of_cutoff) = client.cutoff(LEFT, clock.as_ref()).unwrap();
        assert_eq!(as_of_cutoff, as_of, "{why}");
    }
    let asked = exchange.requests();
    let is_fresh_wanted = |asked: &kalshi_simulator::Asked| {
        let of_name = |(name, _): &&(String, String)| name.eq_ignore_ascii_case("cache-control");
        asked.headers.iter().find(of_name).is_some_and(|(_, value)| value == "no-cache")
    };
    assert!(asked.iter().all(is_fresh_wanted), "every request wants a fresh answer");
}

#[test]
fn an_old_answer_does_not_set_the_exchanges_clock() {
    let exchange = Exchange::new(Rules::default());
    exchange.set_now(NOON_US - HOUR_US);
    let server = exchange.serve().unwrap();
    let endpoint = Endpoint::new(&server.base_url(), "/markets/trades").unwrap();
    let client = Client::new(Access { endpoint, signer: None, connections: 1, proxy: None });
    let clock = TurnedClock::start(Timestamp::from_micros(NOON_US), 1);
    for (age_s, has_learnt) in [(Some(2), false), (Some(3_600), false), (Some(1), true)] {
        exchange.change(|world| world.rules.age_s = age_s);
        client.cutoff(LEFT, &clock).unwrap();
        let behind = clock.now().since(client.exchange_now(&clock));
        assert_eq!(behind > Duration::from_secs(1_800), has_learnt, "Age: {age_s:?}");
    }
}
