//! `GET /markets/trades` and `GET /historical/trades`: filters, pages, cursors.

use std::sync::Arc;

use super::trades_fault;
use crate::cursor;
use crate::fault::Fault;
use crate::http::{Reply, Request};
use crate::refusal;
use crate::rules::{ListEnd, MalformedCursor, MaxTs, Rules, ZeroLimit};
use crate::tape::{Event, Key, Selection};
use crate::timestamp::SECOND_US;
use crate::world::World;

const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1000;

/// Which side of the cutoff a request is served from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tier {
    Live,
    Historical,
}

/// Some rows and where the next ones start.
pub(super) struct Page {
    pub(super) rows: Vec<Arc<Event>>,
    /// The row after which the next page starts; `None` at the end of the list.
    pub(super) next: Option<Key>,
}

/// A request understood.
pub(super) struct Query<'a> {
    pub(super) selection: Selection<'a>,
    pub(super) limit: usize,
}

pub(crate) fn answer(
    world: &World,
    request: &Request,
    tier: Tier,
    fault: Fault,
    number: u64,
) -> Reply {
    if let Some(reply) = trades_fault::instead(world, request, fault) {
        return reply;
    }
    let cursor = if fault == Fault::IgnoredCursor { None } else { asked_cursor(request) };
    let query = match query(&world.rules, request, tier, cursor) {
        Ok(query) => query,
        Err(details) => return refusal::bad_request(&world.rules, details),
    };
    let mut page = page(world, &query);
    let mut next = page.next.as_ref().map(cursor::encode);
    trades_fault::spoil(&mut page, &mut next, &query, cursor, fault, number);
    reply(&page.rows, next.as_deref(), &world.rules).delivered(trades_fault::delivery(fault))
}

/// The cursor asked for; an empty one is none.
pub(super) fn asked_cursor(request: &Request) -> Option<&str> {
    request.param("cursor").filter(|cursor| !cursor.is_empty())
}

/// Understands the parameters; the error is the `details` of a 400. Unknown ones are ignored.
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
    let min_s = seconds(request, "min_ts")?.unwrap_or(i64::MIN);
    let max_s = seconds(request, "max_ts")?;
    let until_s = max_s.map_or(i64::MAX, |max_s| match rules.max_ts {
        MaxTs::Inclusive => max_s.saturating_add(1),
        MaxTs::Exclusive => max_s,
    });
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
        ticker: request.param("ticker").filter(|ticker| !ticker.is_empty()),
        is_block_trade,
        from_us: from_s.saturating_mul(SECOND_US),
        until_us: until_s.saturating_mul(SECOND_US),
        below,
    };
    Ok(Query { selection, limit: limit(rules, request)? })
}

fn seconds(request: &Request, name: &str) -> Result<Option<i64>, &'static str> {
    request.param(name).map(str::parse).transpose().map_err(|_| "invalid timestamp")
}

fn limit(rules: &Rules, request: &Request) -> Result<usize, &'static str> {
    let Some(text) = request.param("limit") else { return Ok(LIMIT_DEFAULT) };
    match text.parse::<usize>() {
        Ok(0) if rules.zero_limit == ZeroLimit::Default => Ok(LIMIT_DEFAULT),
        Ok(limit @ 1..=LIMIT_MAX) => Ok(limit),
        _ => Err("invalid limit"),
    }
}

fn page(world: &World, query: &Query) -> Page {
    let mut rows = world.tape.newest(&query.selection, query.limit + 1);
    let has_more = query.limit < rows.len();
    rows.truncate(query.limit);
    let is_full = rows.len() == query.limit;
    let has_cursor = has_more || (is_full && world.rules.cursor_after_full_page);
    let next = rows.last().filter(|_| has_cursor).map(|row| row.key.clone());
    Page { rows, next }
}

fn reply(rows: &[Arc<Event>], next: Option<&str>, rules: &Rules) -> Reply {
    // A cursor is base64url and needs no escaping.
    let cursor = match (next, rules.list_end) {
        (Some(next), _) => format!("\"cursor\":\"{next}\","),
        (None, ListEnd::EmptyString) => "\"cursor\":\"\",".to_owned(),
        (None, ListEnd::Null) => "\"cursor\":null,".to_owned(),
        (None, ListEnd::Absent) => String::new(),
    };
    let rows_len: usize = rows.iter().map(|row| row.json.len() + 1).sum();
    let mut body = String::with_capacity(cursor.len() + rows_len + 16);
    body.push('{');
    body.push_str(&cursor);
    body.push_str("\"trades\":[");
    for (index, row) in rows.iter().enumerate() {
        if 0 < index {
            body.push(',');
        }
        body.push_str(&row.json);
    }
    body.push_str("]}");
    Reply { row_count: rows.len(), ..Reply::json(200, body) }
}
