//! `GET /markets/trades` and `GET /historical/trades`: filters, pages, cursors.

use super::trades_page::{Page, Query};
use super::{fault as any_fault, paging, trades_fault};
use crate::cursor;
use crate::fault::Fault;
use crate::http::{Reply, Request};
use crate::refusal;
use crate::rules::{MalformedCursor, Rules};
use crate::tape::Selection;
use crate::tier::Tier;
use crate::timestamp::SECOND_US;
use crate::world::World;

/// The default and the greatest number of rows.
const LIMITS: (usize, usize) = (100, 1000);

pub(crate) fn answer(
    world: &World,
    request: &Request,
    tier: Tier,
    fault: Fault,
    number: u64,
) -> Reply {
    if let Some(reply) = any_fault::instead(world, request, fault) {
        return reply;
    }
    let cursor = if fault == Fault::IgnoredCursor { None } else { request.filled_param("cursor") };
    let query = match query(&world.rules, request, tier, cursor) {
        Ok(query) => query,
        Err(details) => return refusal::bad_request(&world.rules, details),
    };
    let mut page = page(world, &query);
    let mut next = page.next.as_ref().map(cursor::encode);
    trades_fault::spoil(&mut page, &mut next, &query, cursor, fault, number);
    let rows: Vec<&[u8]> = page.rows.iter().map(|row| &*row.json).collect();
    paging::reply("trades", &rows, next.as_deref(), &world.rules)
        .delivered(any_fault::delivery(fault))
}

/// Parses the parameters; the error is the `details` of a 400. Unknown parameters are ignored.
fn query<'a>(
    rules: &Rules,
    request: &'a Request,
    tier: Tier,
    cursor: Option<&str>,
) -> Result<Query<'a>, &'static str> {
    let below = match cursor.map(cursor::decode) {
        None => None,
        Some(Some(key)) => Some(key),
        Some(None) if rules.malformed_cursor == MalformedCursor::FirstPage => None,
        Some(None) => return Err("invalid cursor"),
    };
    let min_s = paging::seconds(request, "min_ts")?.unwrap_or(i64::MIN);
    let max_s = paging::seconds(request, "max_ts")?;
    let until_s = max_s.map_or(i64::MAX, |max_s| paging::until_s(rules, max_s));
    let (from_s, until_s) = match tier {
        Tier::Live => (min_s.max(rules.cutoff_s.saturating_sub(rules.live_overlap_s)), until_s),
        Tier::Historical => {
            (min_s, until_s.min(rules.cutoff_s.saturating_add(rules.historical_overlap_s)))
        }
    };
    let is_block_trade = match request.param("is_block_trade") {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) => return Err("invalid is_block_trade"),
    };
    let selection = Selection {
        ticker: request.filled_param("ticker"),
        is_block_trade,
        from_us: from_s.saturating_mul(SECOND_US),
        until_us: until_s.saturating_mul(SECOND_US),
        below,
    };
    let limit = paging::limit(rules, request, LIMITS)?;
    let limit = rules.page_rows_max.map_or(limit, |rows_max| limit.min(rows_max));
    Ok(Query { selection, limit })
}

fn page(world: &World, query: &Query) -> Page {
    let mut rows = world.tape.newest(&query.selection, query.limit + 1);
    let has_more = query.limit < rows.len();
    rows.truncate(query.limit);
    let has_cursor = paging::has_cursor(&world.rules, has_more, rows.len(), query.limit);
    let next = rows.last().filter(|_| has_cursor).map(|row| row.key.clone());
    Page { rows, next }
}
