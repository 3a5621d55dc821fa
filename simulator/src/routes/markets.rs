//! `GET /markets`, `/markets/{ticker}`, and the same under `/historical`.

use super::market_filter::Filter;
use super::{market_json, paging};
use crate::http::{Reply, Request};
use crate::refusal;
use crate::tier::Tier;
use crate::world::World;

/// The default and the greatest number of rows.
const LIMITS: (usize, usize) = (100, 1000);

pub(crate) fn list(world: &World, request: &Request, tier: Tier) -> Reply {
    match page(world, request, tier) {
        Ok(reply) if tier == Tier::Live => {
            reply.with_header("Cache-Control", "public, max-age=5".to_owned())
        }
        Ok(reply) => reply,
        Err(details) => refusal::bad_request(&world.rules, details),
    }
}

fn page(world: &World, request: &Request, tier: Tier) -> Result<Reply, &'static str> {
    let rules = &world.rules;
    let limit = paging::limit(rules, request, LIMITS)?;
    let below = paging::below(rules, request)?;
    let filter = match tier {
        Tier::Live => Filter::live(rules, request)?,
        Tier::Historical => Filter::historical(request)?,
    };
    let selected = filter.select(world, tier, below.as_ref());
    let (rows, next) = paging::page(rules, selected, limit, |listed| listed.place.clone());
    let rows: Vec<String> = rows.iter().map(|listed| market_json::market(world, listed)).collect();
    Ok(paging::reply("markets", &rows, next.as_deref(), rules))
}

pub(crate) fn one(world: &World, ticker: &str, tier: Tier) -> Reply {
    let listed = world.listed(ticker);
    match listed.filter(|found| world.is_archived(&found.market) == (tier == Tier::Historical)) {
        Some(listed) => {
            Reply::json(200, format!("{{\"market\":{}}}", market_json::market(world, listed)))
        }
        None if tier == Tier::Live => refusal::not_found(&world.rules),
        None => refusal::no_historical_market(&world.rules),
    }
}
