//! A market in the exchange's JSON.

use crate::book::Book;
use crate::catalogue::Listed;
use crate::market::{self, Market, Status};
use crate::rules::MarketVolume;
use crate::text::{Object, array, dollars_e4};
use crate::world::World;

const DOLLAR_E4: i64 = 10_000;
const DAY_US: i64 = 86_400_000_000;

const RULES: &str = "If this simulation says so, then the market resolves to Yes.";

/// The price grids by name: the size of the ranges at 0 and at 1 dollar, the step in these ranges, and the step
/// between them.
const GRIDS: [(&str, i64, i64, i64); 12] = [
    ("linear_cent", 0, 100, 100),
    ("deci_cent", 0, 10, 10),
    ("tapered_deci_cent", 1_000, 10, 100),
    ("center_whole_edge_half_cent", 1_000, 50, 100),
    ("center_whole_edge_quint_cent", 1_000, 20, 100),
    ("center_half_edge_half_cent", 0, 50, 50),
    ("center_half_edge_quint_cent", 1_000, 20, 50),
    ("center_half_edge_deci_cent", 1_000, 10, 50),
    ("center_quint_edge_quint_cent", 0, 20, 20),
    ("center_quint_edge_deci_cent", 1_000, 10, 20),
    ("center_centi_edge_centi_cent", 0, 1, 1),
    ("center_deci_edge_centi_cent", 100, 1, 10),
];

/// The market as one compact object, its keys in alphabetical order.
pub(super) fn market(world: &World, listed: &Listed) -> String {
    let market = &listed.market;
    let mut json = Object::new();
    put_first(&mut json, market);
    let prices = Prices::of(world, market);
    json.dollars("last_price_dollars", prices.last)
        .time("latest_expiration_time", market.latest_expiration_us)
        .plain("market_type", "binary");
    if market.is_combo {
        json.text("mve_collection_ticker", &collection(&market.event_ticker));
    }
    json.dollars("no_ask_dollars", DOLLAR_E4 - prices.yes_bid.0)
        .dollars("no_bid_dollars", prices.no_bid.0)
        .plain("no_sub_title", "No")
        .dollars("notional_value_dollars", DOLLAR_E4)
        .raw("occurrence_datetime", "null");
    put_volumes_and_grid(&mut json, world, market);
    put_settlement(&mut json, world, market);
    let volume_e2 = world.volume_e2(&market.ticker);
    let volume_24h_e2 = world.volume_since_e2(&market.ticker, world.now_us() - DAY_US);
    json.plain("subtitle", "")
        .text("ticker", &market.ticker)
        .text("title", &market.title)
        .time("updated_time", market.updated_us)
        .contracts("volume_24h_fp", volume_24h_e2);
    match world.rules.market_volume {
        MarketVolume::Told => json.contracts("volume_fp", volume_e2),
        MarketVolume::Zero => json.contracts("volume_fp", 0),
        MarketVolume::Null => json.raw("volume_fp", "null"),
    }
    .dollars("yes_ask_dollars", DOLLAR_E4 - prices.no_bid.0)
    .contracts("yes_ask_size_fp", prices.no_bid.1)
    .dollars("yes_bid_dollars", prices.yes_bid.0)
    .contracts("yes_bid_size_fp", prices.yes_bid.1)
    .plain("yes_sub_title", "Yes");
    json.end()
}

/// The collection that a combo's event names.
pub(super) fn collection(event_ticker: &str) -> String {
    format!("{}-R", market::series_by_name(event_ticker))
}

fn put_first(json: &mut Object, market: &Market) {
    json.flag("can_close_early", true)
        .time("close_time", market.close_us)
        .time("created_time", market.created_us)
        .text("event_ticker", &market.event_ticker)
        .raw("exchange_index", if market.is_combo { "1" } else { "0" });
    if let Some(us) = market.expected_expiration_us {
        json.time("expected_expiration_time", us);
    }
    json.time("expiration_time", market.latest_expiration_us)
        .text("expiration_value", &market.result);
    if market.is_provisional {
        json.flag("is_provisional", true);
    }
}

fn put_volumes_and_grid(json: &mut Object, world: &World, market: &Market) {
    let is_settled = market.settled_us.is_some();
    let volume_e2 = if is_settled { 0 } else { world.volume_e2(&market.ticker) };
    json.contracts("open_interest_fp", volume_e2)
        .time("open_time", market.open_us)
        .dollars("previous_price_dollars", 0)
        .dollars("previous_yes_ask_dollars", 0)
        .dollars("previous_yes_bid_dollars", 0)
        .text("price_level_structure", &market.price_level_structure)
        .raw("price_ranges", &price_ranges(&market.price_level_structure));
}

fn put_settlement(json: &mut Object, world: &World, market: &Market) {
    json.text("result", &market.result)
        .plain("rules_primary", RULES)
        .plain("rules_secondary", "")
        .plain("settlement_bounds_type", "default")
        .raw("settlement_timer_seconds", "60");
    if let Some(us) = market.settled_us {
        json.time("settlement_ts", us);
    }
    if let Some(value_e4) = market.settlement_value_e4 {
        json.dollars("settlement_value_dollars", value_e4);
    }
    json.plain("status", market.status_at(world.now_us()).as_str());
}

/// The best bids, as price and count, and the price of the newest trade; zero where there is none.
pub(super) struct Prices {
    pub(super) yes_bid: (i64, u64),
    pub(super) no_bid: (i64, u64),
    last: i64,
}

impl Prices {
    pub(super) fn of(world: &World, market: &Market) -> Prices {
        let is_settled = market.status_at(world.now_us()) == Status::Finalized;
        let book = world.catalogue.book(&market.ticker).filter(|_| !is_settled);
        let last = world.tape.last(&market.ticker).and_then(|event| event.trade.as_ref());
        Prices {
            yes_bid: book.and_then(Book::best_yes).unwrap_or_default(),
            no_bid: book.and_then(Book::best_no).unwrap_or_default(),
            last: last.map_or(0, |trade| i64::from(trade.yes_price_e6 / 100)),
        }
    }
}

/// The ranges of a grid by its name; an unknown grid has whole cents.
fn price_ranges(structure: &str) -> String {
    let grid = GRIDS.iter().find(|(name, ..)| *name == structure).unwrap_or(&GRIDS[0]);
    let &(_, edge, edge_step, step) = grid;
    let upper = DOLLAR_E4 - edge;
    let ranges = [(0, edge, edge_step), (edge, upper, step), (upper, DOLLAR_E4, edge_step)];
    let ranges = ranges.iter().filter(|(start, end, _)| start < end).map(|(start, end, step)| {
        let [end, start, step] = [*end, *start, *step].map(dollars_e4);
        format!("{{\"end\":\"{end}\",\"start\":\"{start}\",\"step\":\"{step}\"}}")
    });
    let ranges: Vec<String> = ranges.collect();
    array(ranges.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_have_their_ranges() {
        let whole = r#"[{"end":"1.0000","start":"0.0000","step":"0.0100"}]"#;
        assert_eq!(price_ranges("linear_cent"), whole);
        assert_eq!(price_ranges("of tomorrow"), whole);
        assert_eq!(
            price_ranges("center_deci_edge_centi_cent"),
            concat!(
                r#"[{"end":"0.0100","start":"0.0000","step":"0.0001"},"#,
                r#"{"end":"0.9900","start":"0.0100","step":"0.0010"},"#,
                r#"{"end":"1.0000","start":"0.9900","step":"0.0001"}]"#
            )
        );
    }
}
