//! From a request to a reply: finds the resource, and checks whether the request is admitted. The answer of a resource
//! is made in its file under `routes`.

use crate::asked::Asked;
use crate::fault::Fault;
use crate::http::{Reply, Request, target};
use crate::refusal;
use crate::routes::{
    account_limits, books, candles, events, exchange_status, fault, historical_cutoff, markets,
    series, trades,
};
use crate::rules::RateClock;
use crate::state::State;
use crate::tier::Tier;
use crate::world::World;
use crate::{BASE_PATH, signing, timestamp};

enum Route {
    Trades(Tier),
    Other(Resource),
}

/// The resources other than trades.
enum Resource {
    Markets(Tier),
    Market(Tier, String),
    Book(String),
    Books,
    /// The series, then the market.
    Candles(String, String),
    CandlesOfSeveral,
    HistoricalCandles(String),
    Events,
    Combos,
    Event(String),
    AllSeries,
    Series(String),
    HistoricalCutoff,
    ExchangeStatus,
    AccountLimits,
}

impl Route {
    fn of(request: &Request) -> Option<Route> {
        let parts = request.path_below(BASE_PATH)?;
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let resource = match parts[..] {
            ["markets", "trades"] => return Some(Route::Trades(Tier::Live)),
            ["historical", "trades"] => return Some(Route::Trades(Tier::Historical)),
            ["markets", "orderbooks"] => Resource::Books,
            ["markets", "candlesticks"] => Resource::CandlesOfSeveral,
            ["markets"] => Resource::Markets(Tier::Live),
            ["markets", ticker] => Resource::Market(Tier::Live, ticker.to_owned()),
            ["markets", ticker, "orderbook"] => Resource::Book(ticker.to_owned()),
            ["historical", "cutoff"] => Resource::HistoricalCutoff,
            ["historical", "markets"] => Resource::Markets(Tier::Historical),
            ["historical", "markets", ticker] => {
                Resource::Market(Tier::Historical, ticker.to_owned())
            }
            ["historical", "markets", ticker, "candlesticks"] => {
                Resource::HistoricalCandles(ticker.to_owned())
            }
            ["events"] => Resource::Events,
            ["events", "multivariate"] => Resource::Combos,
            ["events", ticker] => Resource::Event(ticker.to_owned()),
            ["series"] => Resource::AllSeries,
            ["series", series, "markets", ticker, "candlesticks"] => {
                Resource::Candles(series.to_owned(), ticker.to_owned())
            }
            ["series", ticker] => Resource::Series(ticker.to_owned()),
            ["exchange", "status"] => Resource::ExchangeStatus,
            ["account", "limits"] => Resource::AccountLimits,
            _ => return None,
        };
        Some(Route::Other(resource))
    }
}

/// Answers a request, and returns its record.
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
    if let Some(age_s) = world.rules.age_s {
        reply = reply.with_header("Age", age_s.to_string());
    }
    asked.status = reply.has_status().then_some(reply.status);
    asked.row_count = reply.row_count;
    (reply, asked)
}

/// The resource of the request, or the refusal.
fn admit(state: &mut State, request: &Request) -> Result<Route, Reply> {
    let rules = &state.world.rules;
    if let Some(path) = request.path.strip_suffix('/').filter(|path| !path.is_empty()) {
        return Err(Reply::redirect(301, target(path, &request.raw_query)));
    }
    let route = Route::of(request).ok_or_else(|| refusal::not_found(rules))?;
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
        RateClock::Machine => state.uptime_us(),
    };
    state.limiter.take(key, limit, now_us)
}

fn reply_to(state: &mut State, route: Route, request: &Request, asked: &mut Asked) -> Reply {
    let path = request.path.strip_prefix(BASE_PATH).unwrap_or_default();
    match route {
        Route::Trades(tier) => {
            let number = state.begin_trades_request();
            let fault = match state.faults.next(number) {
                Fault::None => state.path_faults.next(path, |name| request.param(name)),
                fault => fault,
            };
            asked.trades_request = Some(number);
            asked.fault = fault;
            trades::answer(&state.world, request, tier, fault, number)
        }
        Route::Other(resource) => {
            let fault = state.path_faults.next(path, |name| request.param(name));
            asked.fault = fault;
            let world = &state.world;
            let unfiltered =
                (fault == Fault::IgnoredFilters).then(|| fault::without_filters(request));
            let request = unfiltered.as_ref().unwrap_or(request);
            fault::instead(world, request, fault).unwrap_or_else(|| {
                resource.answer(world, request).delivered(fault::delivery(fault))
            })
        }
    }
}

impl Resource {
    fn answer(self, world: &World, request: &Request) -> Reply {
        match self {
            Resource::Markets(tier) => markets::list(world, request, tier),
            Resource::Market(tier, ticker) => markets::one(world, &ticker, tier),
            Resource::Book(ticker) => books::one(world, request, &ticker),
            Resource::Books => books::several(world, request),
            Resource::Candles(series, ticker) => candles::one(world, request, &series, &ticker),
            Resource::CandlesOfSeveral => candles::several(world, request),
            Resource::HistoricalCandles(ticker) => candles::historical(world, request, &ticker),
            Resource::Events => events::list(world, request, false),
            Resource::Combos => events::list(world, request, true),
            Resource::Event(ticker) => events::one(world, request, &ticker),
            Resource::AllSeries => series::list(world),
            Resource::Series(ticker) => series::one(world, &ticker),
            Resource::HistoricalCutoff => historical_cutoff::answer(world),
            Resource::ExchangeStatus => exchange_status::answer(&world.rules),
            Resource::AccountLimits => account_limits::answer(&world.rules, request),
        }
    }
}
