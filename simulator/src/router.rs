//! From a request to a reply: which resource it is for, and whether it may be asked at all. What
//! a resource answers is in its file under `routes`.

use crate::asked::Asked;
use crate::exchange::State;
use crate::fault::Fault;
use crate::http::{Reply, Request};
use crate::refusal;
use crate::routes::trades::Tier;
use crate::routes::{exchange_status, historical_cutoff, trades};
use crate::rules::RateClock;
use crate::{BASE_PATH, signing, timestamp};

#[derive(Clone, Copy)]
enum Route {
    Trades(Tier),
    HistoricalCutoff,
    ExchangeStatus,
}

impl Route {
    fn of(path: &str) -> Option<Route> {
        match path.strip_prefix(BASE_PATH)? {
            "/markets/trades" => Some(Route::Trades(Tier::Live)),
            "/historical/trades" => Some(Route::Trades(Tier::Historical)),
            "/historical/cutoff" => Some(Route::HistoricalCutoff),
            "/exchange/status" => Some(Route::ExchangeStatus),
            _ => None,
        }
    }
}

/// Answers a request, and says what goes on record.
pub(crate) fn answer(state: &mut State, request: &Request) -> (Reply, Asked) {
    let mut asked = Asked {
        method: request.method.clone(),
        path: request.path.clone(),
        query: request.query.clone(),
        headers: request.headers.clone(),
        status: None,
        row_count: 0,
        fault: Fault::None,
        trades_request: None,
        asked_us: state.world.now_us(),
    };
    let mut reply = match admit(state, request) {
        Ok(route) => reply_to(state, route, request, &mut asked),
        Err(refusal) => refusal,
    };
    let world = &state.world;
    reply.framing = world.rules.framing;
    if world.rules.date_header {
        reply = reply.with_header("Date", timestamp::http_date(world.now_us()));
    }
    asked.status = reply.has_status().then_some(reply.status);
    asked.row_count = reply.row_count;
    (reply, asked)
}

/// The resource asked for, or why it is not to be had.
fn admit(state: &mut State, request: &Request) -> Result<Route, Reply> {
    let rules = &state.world.rules;
    if let Some(path) = request.path.strip_suffix('/').filter(|path| !path.is_empty()) {
        return Err(Reply::redirect(301, target(path, &request.raw_query)));
    }
    let route = Route::of(&request.path).ok_or_else(|| refusal::not_found(rules))?;
    if request.method != "GET" {
        return Err(refusal::method_not_allowed(rules));
    }
    signing::check(rules, request, state.world.now_us())
        .map_err(|why| refusal::unauthorized(rules, why))?;
    if is_within_rate(state, request) { Ok(route) } else { Err(refusal::too_many()) }
}

fn is_within_rate(state: &mut State, request: &Request) -> bool {
    let rules = &state.world.rules;
    let key = request.header("kalshi-access-key");
    let limit = if key.is_some() { rules.keyed_limit } else { rules.keyless_limit };
    let Some(limit) = limit else { return true };
    let now_us = match rules.rate_clock {
        RateClock::Exchange => state.world.now_us(),
        RateClock::Machine => {
            i64::try_from(state.started.elapsed().as_micros()).expect("not 290,000 years of uptime")
        }
    };
    state.limiter.take(key, limit, now_us)
}

fn reply_to(state: &mut State, route: Route, request: &Request, asked: &mut Asked) -> Reply {
    match route {
        Route::Trades(tier) => {
            let number = state.begin_trades_request();
            let fault = state.faults.next(number);
            asked.trades_request = Some(number);
            asked.fault = fault;
            trades::answer(&state.world, request, tier, fault, number)
        }
        Route::HistoricalCutoff => historical_cutoff::answer(&state.world),
        Route::ExchangeStatus => exchange_status::answer(&state.world.rules),
    }
}

/// A request target; locations without a host lead back to the same one.
pub(crate) fn target(path: &str, raw_query: &str) -> String {
    let mark = if raw_query.is_empty() { "" } else { "?" };
    format!("{path}{mark}{raw_query}")
}
