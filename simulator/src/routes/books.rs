//! `GET /markets/{ticker}/orderbook` and `GET /markets/orderbooks`.

use crate::book::Book;
use crate::http::{Reply, Request};
use crate::market::Status;
use crate::refusal;
use crate::text::quoted;
use crate::world::World;

const TICKERS_MAX: usize = 100;
const DEPTH_MAX: usize = 100;

pub(crate) fn one(world: &World, request: &Request, ticker: &str) -> Reply {
    let is_live = |ticker| world.listed(ticker).is_some_and(|it| !world.is_archived(&it.market));
    if !is_live(ticker) {
        return refusal::not_found(&world.rules);
    }
    let Ok(depth) = depth(request) else {
        return refusal::bad_request(&world.rules, "invalid depth");
    };
    Reply::json(200, format!("{{\"orderbook_fp\":{}}}", book_json(world, ticker, depth)))
}

/// Each market in the request has a book: an empty one if there is no such market.
pub(crate) fn several(world: &World, request: &Request) -> Reply {
    let asked = request.query.iter().filter(|(name, _)| name == "tickers");
    let tickers: Vec<&str> = asked.map(|(_, ticker)| ticker.as_str()).collect();
    if tickers.is_empty() || TICKERS_MAX < tickers.len() {
        return refusal::bad_request(&world.rules, "invalid tickers");
    }
    let rows: Vec<String> = tickers
        .iter()
        .map(|ticker| {
            let (book, ticker) = (book_json(world, ticker, None), quoted(ticker));
            format!("{{\"orderbook_fp\":{book},\"ticker\":{ticker}}}")
        })
        .collect();
    let body = format!("{{\"orderbooks\":[{}]}}", rows.join(","));
    Reply { row_count: rows.len(), ..Reply::json(200, body) }
}

/// The depth; `None` for all levels.
fn depth(request: &Request) -> Result<Option<usize>, ()> {
    let Some(text) = request.filled_param("depth") else { return Ok(None) };
    match usize::try_from(text.parse::<i64>().map_err(|_| ())?) {
        Err(_) | Ok(0) => Ok(None),
        Ok(depth @ 1..=DEPTH_MAX) => Ok(Some(depth)),
        Ok(_) => Err(()),
    }
}

fn book_json(world: &World, ticker: &str, depth: Option<usize>) -> String {
    let is_settled = world.status_of(ticker).is_none_or(|status| status == Status::Finalized);
    match world.catalogue.book(ticker).filter(|_| !is_settled) {
        Some(book) => book.json(depth),
        None => Book::default().json(None),
    }
}
