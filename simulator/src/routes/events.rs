//! `GET /events`, `/events/multivariate`, `/events/{event_ticker}`.

use super::market_filter::StatusFilter;
use super::{market_json, paging};
use crate::catalogue::{Group, Listed};
use crate::http::{Reply, Request};
use crate::refusal;
use crate::text::{Object, array};
use crate::timestamp::SECOND_US;
use crate::world::World;

/// The default and the greatest number of rows: without and with combos.
const LIMITS: (usize, usize) = (200, 200);
const COMBO_LIMITS: (usize, usize) = (100, 200);

/// The filter of a list of events.
struct Filter<'a> {
    is_combo: bool,
    series_ticker: Option<&'a str>,
    collection_ticker: Option<&'a str>,
    tickers: Option<Vec<&'a str>>,
    status: Option<StatusFilter>,
    min_close_us: Option<i64>,
    min_updated_us: Option<i64>,
}

pub(crate) fn list(world: &World, request: &Request, is_combo: bool) -> Reply {
    page(world, request, is_combo)
        .unwrap_or_else(|details| refusal::bad_request(&world.rules, details))
}

fn page(world: &World, request: &Request, is_combo: bool) -> Result<Reply, &'static str> {
    let rules = &world.rules;
    let limit = paging::limit(rules, request, if is_combo { COMBO_LIMITS } else { LIMITS })?;
    let below = paging::below(rules, request)?;
    let filter = if is_combo { combo_filter(request)? } else { filter(request)? };
    let is_nested = request.param("with_nested_markets") == Some("true");
    let selected = world.catalogue.groups_below(below).filter(|group| filter.takes(world, group));
    let (rows, next) = paging::page(rules, selected, limit, |group| group.place());
    let rows: Vec<String> = rows.iter().map(|group| event_json(world, group, is_nested)).collect();
    Ok(paging::reply("events", &rows, next.as_deref(), rules))
}

pub(crate) fn one(world: &World, request: &Request, event_ticker: &str) -> Reply {
    let is_asked = |name| request.param(name) == Some("true");
    let (is_nested, is_bare) = (is_asked("with_nested_markets"), is_asked("exclude_markets"));
    if is_nested && is_bare {
        let details = "exclude_markets cannot be combined with with_nested_markets";
        return refusal::bad_request(&world.rules, details);
    }
    let Some(group) = world.group(event_ticker) else { return refusal::not_found(&world.rules) };
    let mut body = Object::new();
    body.raw("event", &event_json(world, group, is_nested));
    if is_nested {
        // The specification requires this list, also where the event has the markets.
        body.raw("markets", "[]");
    } else if !is_bare {
        put_markets(&mut body, world, group);
    }
    Reply::json(200, body.end())
}

fn filter(request: &Request) -> Result<Filter<'_>, &'static str> {
    let status = StatusFilter::asked(request)?;
    if status == Some(StatusFilter::Paused) {
        return Err("invalid status filter");
    }
    let us = |s: i64| s.saturating_mul(SECOND_US);
    Ok(Filter {
        is_combo: false,
        series_ticker: request.filled_param("series_ticker"),
        collection_ticker: None,
        tickers: paging::list(request, "tickers"),
        status,
        min_close_us: paging::seconds(request, "min_close_ts")?.map(us),
        min_updated_us: paging::seconds(request, "min_updated_ts")?.map(us),
    })
}

fn combo_filter(request: &Request) -> Result<Filter<'_>, &'static str> {
    let series_ticker = request.filled_param("series_ticker");
    let collection_ticker = request.filled_param("collection_ticker");
    if series_ticker.is_some() && collection_ticker.is_some() {
        return Err("series_ticker and collection_ticker are mutually exclusive");
    }
    Ok(Filter {
        is_combo: true,
        series_ticker,
        collection_ticker,
        tickers: paging::list(request, "tickers"),
        status: None,
        min_close_us: None,
        min_updated_us: None,
    })
}

impl Filter<'_> {
    /// Whether the filter takes an event. A status matches if it is that of any of its markets, archived ones
    /// included.
    fn takes(&self, world: &World, group: &Group) -> bool {
        let now_us = world.now_us();
        world.shows(group.is_implicit)
            && self.is_combo == group.is_combo
            && self.series_ticker.is_none_or(|series| series == group.series_ticker)
            && self
                .collection_ticker
                .is_none_or(|asked| asked == market_json::collection(&group.ticker))
            && self.tickers.as_ref().is_none_or(|named| named.contains(&group.ticker.as_str()))
            && self.min_close_us.is_none_or(|min_us| min_us < group.close_us())
            && self.min_updated_us.is_none_or(|min_us| min_us < group.updated_us)
            && self.status.is_none_or(|status| {
                shown(world, group).any(|listed| status.takes(&listed.market, now_us))
            })
    }
}

fn shown<'a>(world: &'a World, group: &'a Group) -> impl Iterator<Item = &'a Listed> {
    let newest_first = group.markets.values().rev().map(|listed| &**listed);
    newest_first.filter(|listed| {
        world.shows(listed.is_implicit) && !world.unlisted.contains(&listed.market.ticker)
    })
}

fn event_json(world: &World, group: &Group, is_nested: bool) -> String {
    let mut json = Object::new();
    json.text("category", "Simulation")
        .text("collateral_return_type", "")
        .text("event_ticker", &group.ticker)
        .raw("exchange_index", if group.is_combo { "1" } else { "0" })
        .time("last_updated_ts", group.updated_us);
    if is_nested {
        put_markets(&mut json, world, group);
    }
    json.flag("mutually_exclusive", false)
        .text("series_ticker", &group.series_ticker)
        .raw("settlement_sources", "null")
        .text("strike_period", "")
        .text("sub_title", "")
        .text("title", &group.title);
    json.end()
}

/// The live markets; without any, the field is missing.
fn put_markets(json: &mut Object, world: &World, group: &Group) {
    let live = shown(world, group).filter(|listed| !world.is_archived(&listed.market));
    let rows: Vec<String> = live.map(|listed| market_json::market(world, listed)).collect();
    if !rows.is_empty() {
        json.raw("markets", &array(rows.iter().map(String::as_str)));
    }
}
