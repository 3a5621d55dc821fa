//! `GET /historical/cutoff`.

use serde_json::json;

use crate::http::Reply;
use crate::timestamp::{SECOND_US, rfc3339};
use crate::world::World;

/// Orders leave the live tier after two weeks, independently of trades.
const ORDERS_LIVE_US: i64 = 14 * DAY_US;
const DAY_US: i64 = 24 * 60 * 60 * SECOND_US;

pub(crate) fn answer(world: &World) -> Reply {
    let cutoff = rfc3339(world.rules.cutoff_s.saturating_mul(SECOND_US));
    let orders_us = world.now_us() - ORDERS_LIVE_US;
    let body = json!({
        "market_positions_last_updated_ts": cutoff,
        "market_settled_ts": rfc3339(world.rules.markets_cutoff_s.saturating_mul(SECOND_US)),
        "orders_updated_ts": rfc3339(orders_us - orders_us.rem_euclid(DAY_US)),
        "trades_created_ts": cutoff,
    });
    Reply::json(200, body.to_string())
}
