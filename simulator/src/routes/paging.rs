//! The common parts of all lists: limits, cursors, the envelope.

use crate::catalogue::Place;
use crate::cursor;
use crate::http::{Reply, Request};
use crate::rules::{ListEnd, MalformedCursor, MaxTs, Rules, ZeroLimit};

/// The limit of the request; `limits` are the default and the maximum.
pub(super) fn limit(
    rules: &Rules,
    request: &Request,
    limits: (usize, usize),
) -> Result<usize, &'static str> {
    let (default, max) = limits;
    let Some(text) = request.param("limit") else { return Ok(default) };
    match text.parse::<usize>() {
        Ok(0) if rules.zero_limit == ZeroLimit::Default => Ok(default),
        Ok(limit) if 0 < limit && limit <= max => Ok(limit),
        _ => Err("invalid limit"),
    }
}

/// A time in seconds since 1970.
pub(super) fn seconds(request: &Request, name: &str) -> Result<Option<i64>, &'static str> {
    request.param(name).map(str::parse).transpose().map_err(|_| "invalid timestamp")
}

/// The first second beyond an upper bound.
pub(super) fn until_s(rules: &Rules, max_s: i64) -> i64 {
    match rules.max_ts {
        MaxTs::Inclusive => max_s.saturating_add(1),
        MaxTs::Exclusive => max_s,
    }
}

/// The texts of a comma-separated parameter; `None` without it.
pub(super) fn list<'a>(request: &'a Request, name: &str) -> Option<Vec<&'a str>> {
    let text = request.filled_param(name)?;
    // A list does not find a ticker with a blank, either.
    let is_found = |part: &&str| !part.is_empty() && !part.contains(' ');
    Some(text.split(',').map(str::trim).filter(is_found).collect())
}

/// The position where a list of markets or events continues.
pub(super) fn below(rules: &Rules, request: &Request) -> Result<Option<Place>, &'static str> {
    match request.filled_param("cursor").map(cursor::decode_place) {
        None => Ok(None),
        Some(Some(place)) => Ok(Some(place)),
        Some(None) if rules.malformed_cursor == MalformedCursor::FirstPage => Ok(None),
        Some(None) => Err("invalid cursor"),
    }
}

/// Whether a page carries a cursor.
pub(super) fn has_cursor(rules: &Rules, has_more: bool, row_count: usize, limit: usize) -> bool {
    has_more || (row_count == limit && rules.cursor_after_full_page)
}

/// One page of markets or events: the first of the remaining rows, and the cursor after them.
pub(super) fn page<T>(
    rules: &Rules,
    rows: impl Iterator<Item = T>,
    limit: usize,
    place: impl Fn(&T) -> Place,
) -> (Vec<T>, Option<String>) {
    let mut rows: Vec<T> = rows.take(limit + 1).collect();
    let has_more = limit < rows.len();
    rows.truncate(limit);
    let last = rows.last().filter(|_| has_cursor(rules, has_more, rows.len(), limit));
    let next = last.map(|row| cursor::encode_place(&place(row)));
    (rows, next)
}

/// A page as it is served: `{"cursor":…,"<name>":[…]}`. The name has to come after `cursor` in the alphabet.
pub(super) fn reply<T: AsRef<[u8]>>(
    name: &str,
    rows: &[T],
    next: Option<&str>,
    rules: &Rules,
) -> Reply {
    // A cursor is base64url and needs no escaping.
    let cursor = match (next, rules.list_end) {
        (Some(next), _) => format!("\"cursor\":\"{next}\","),
        (None, ListEnd::EmptyString) => "\"cursor\":\"\",".to_owned(),
        (None, ListEnd::Null) => "\"cursor\":null,".to_owned(),
        (None, ListEnd::Absent) => String::new(),
    };
    let rows_len: usize = rows.iter().map(|row| row.as_ref().len() + 1).sum();
    let mut body = Vec::with_capacity(cursor.len() + rows_len + 16);
    for part in ["{", &cursor, "\"", name, "\":["] {
        body.extend_from_slice(part.as_bytes());
    }
    for (index, row) in rows.iter().enumerate() {
        if 0 < index {
            body.push(b',');
        }
        body.extend_from_slice(row.as_ref());
    }
    body.extend_from_slice(b"]}");
    Reply { row_count: rows.len(), ..Reply::json(200, body) }
}
