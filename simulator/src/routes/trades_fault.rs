//! How each fault changes the answer to a trades request: what is answered instead of a page, what
//! is done to the page, and how it is delivered.

use super::trades::{Page, Query, asked_cursor};
use crate::cursor;
use crate::fault::{Fault, RetryAfter};
use crate::http::{Delivery, Reply, Request};
use crate::random::SplitMix64;
use crate::refusal;
use crate::router;
use crate::tape::Key;
use crate::timestamp::{SECOND_US, http_date};
use crate::world::World;

/// Neither JSON nor UTF-8.
const GARBAGE: &[u8] = b"\x1f\xff\xfe{\"trades\":[{]]\x00";

/// The answer of a fault that needs no page.
pub(super) fn instead(world: &World, request: &Request, fault: Fault) -> Option<Reply> {
    let nothing = |delivery| Some(Reply::json(200, "").delivered(delivery));
    match fault {
        Fault::Status(status) => Some(refusal::of_status(&world.rules, status)),
        Fault::TooMany { retry_after } => Some(match retry_after {
            None => refusal::too_many(),
            Some(when) => {
                refusal::too_many().with_header("Retry-After", retry_after_text(world, when))
            }
        }),
        Fault::Reset => nothing(Delivery::Reset),
        Fault::Closed => nothing(Delivery::Closed),
        Fault::ResetMidHeaders => nothing(Delivery::ResetMidHeaders),
        Fault::Hang { ms } => nothing(Delivery::Hang { ms }),
        Fault::Huge { bytes } => nothing(Delivery::Huge { bytes }),
        Fault::Garbage => Some(Reply::json(200, GARBAGE)),
        Fault::NotTrades => Some(Reply::json(200, r#"{"ok":true}"#)),
        Fault::RefusedCursor if asked_cursor(request).is_some() => {
            Some(refusal::bad_request(&world.rules, "invalid cursor"))
        }
        Fault::Redirect => {
            let mark = if request.raw_query.is_empty() { "" } else { "&" };
            let query = format!("{}{mark}redirected=1", request.raw_query);
            Some(Reply::redirect(302, router::target(&request.path, &query)))
        }
        Fault::None
        | Fault::Truncated
        | Fault::SlowBody { .. }
        | Fault::RepeatCursor
        | Fault::RefusedCursor
        | Fault::IgnoredCursor
        | Fault::DuplicatedRows
        | Fault::Unordered
        | Fault::EmptyPageWithCursor
        | Fault::CloseAfter => None,
    }
}

/// What a fault does to a proper page and its cursor.
pub(super) fn spoil(
    page: &mut Page,
    next: &mut Option<String>,
    query: &Query,
    asked: Option<&str>,
    fault: Fault,
    number: u64,
) {
    match fault {
        Fault::RepeatCursor => {
            // The asked cursor goes back as it came; one that is no base64url could break JSON.
            if let Some(asked) = asked.filter(|asked| cursor::decode(asked).is_some()) {
                *next = Some(asked.to_owned());
            } else if let Some(last) = page.rows.last() {
                *next = Some(cursor::encode(&last.key));
            }
        }
        Fault::DuplicatedRows => {
            page.rows = page.rows.iter().flat_map(|row| [row.clone(), row.clone()]).collect();
        }
        Fault::Unordered => {
            let in_order: Vec<Key> = page.rows.iter().map(|row| row.key.clone()).collect();
            SplitMix64::new(number).shuffle(&mut page.rows);
            // Chance may leave a short page as it was; reversed, two rows are out of order.
            if page.rows.iter().map(|row| &row.key).eq(&in_order) {
                page.rows.reverse();
            }
        }
        Fault::EmptyPageWithCursor => {
            // The next row's own key with something appended lies just above that row.
            let (created_us, id) = match page.rows.first() {
                Some(row) => (row.key.created_us, &*row.key.trade_id),
                None => (query.selection.from_us.max(0), ""),
            };
            let trade_id = format!("{id}~{number}").into();
            *next = Some(cursor::encode(&Key { created_us, trade_id }));
            page.rows.clear();
        }
        _ => {}
    }
}

pub(super) fn delivery(fault: Fault) -> Delivery {
    match fault {
        Fault::Truncated => Delivery::Truncated,
        Fault::SlowBody { bytes_per_step, pause_ms } => Delivery::Slow { bytes_per_step, pause_ms },
        Fault::CloseAfter => Delivery::CloseAfter,
        _ => Delivery::Whole,
    }
}

fn retry_after_text(world: &World, when: RetryAfter) -> String {
    match when {
        RetryAfter::Seconds(seconds) => seconds.to_string(),
        RetryAfter::HttpDate(seconds) => {
            let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
            http_date(world.now_us().saturating_add(seconds.saturating_mul(SECOND_US)))
        }
    }
}
