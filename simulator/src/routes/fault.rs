//! The effect of a fault on any answer: a replacement of the answer, or the way of its delivery.

use crate::cursor;
use crate::fault::{Fault, RetryAfter};
use crate::http::{Delivery, Reply, Request, target};
use crate::refusal;
use crate::timestamp::{SECOND_US, http_date};
use crate::world::World;

/// Bytes that are neither JSON nor UTF-8.
const GARBAGE: &[u8] = b"\x1f\xff\xfe{\"trades\":[{]]\x00";

/// The answer of a fault that needs no page.
pub(crate) fn instead(world: &World, request: &Request, fault: Fault) -> Option<Reply> {
    let nothing = |delivery| Some(Reply::json(200, "").delivered(delivery));
    match fault {
        Fault::Status(status) => Some(refusal::of_status(&world.rules, status)),
        Fault::TooMany { retry_after } => Some(match retry_after {
            None => refusal::too_many(),
            Some(when) => {
                refusal::too_many().with_header("Retry-After", retry_after_text(world, when))
            }
        }),
        Fault::LeaveAlone { status, retry_after } => Some(
            refusal::of_status(&world.rules, status)
                .with_header("Retry-After", retry_after_text(world, retry_after)),
        ),
        Fault::Reset => nothing(Delivery::Reset),
        Fault::Closed => nothing(Delivery::Closed),
        Fault::ResetMidHeaders => nothing(Delivery::ResetMidHeaders),
        Fault::Hang { ms } => nothing(Delivery::Hang { ms }),
        Fault::Huge { bytes } => nothing(Delivery::Huge { bytes }),
        Fault::Garbage => Some(Reply::json(200, GARBAGE)),
        Fault::NotTrades => Some(Reply::json(200, r#"{"ok":true}"#)),
        Fault::RefusedCursor if request.filled_param("cursor").is_some() => {
            Some(refusal::bad_request(&world.rules, "invalid cursor"))
        }
        Fault::Redirect => {
            let mark = if request.raw_query.is_empty() { "" } else { "&" };
            let query = format!("{}{mark}redirected=1", request.raw_query);
            Some(Reply::redirect(302, target(&request.path, &query)))
        }
        Fault::EmptyList => empty_list(request),
        Fault::EmptyPageWithCursor => empty_page(request),
        Fault::None
        | Fault::IgnoredFilters
        | Fault::Truncated
        | Fault::SlowBody { .. }
        | Fault::RepeatCursor
        | Fault::RefusedCursor
        | Fault::IgnoredCursor
        | Fault::DuplicatedRows
        | Fault::Unordered
        | Fault::CloseAfter => None,
    }
}

/// The name of the list in the answer of this path; `None` if the answer is no list.
fn list_name(request: &Request) -> Option<&'static str> {
    let ends = |end| request.path.ends_with(end);
    match () {
        () if ends("/trades") => Some("trades"),
        () if ends("/markets") => Some("markets"),
        () if ends("/events") || ends("/events/multivariate") => Some("events"),
        () if ends("/series") => Some("series"),
        () => None,
    }
}

fn empty_list(request: &Request) -> Option<Reply> {
    let body = match list_name(request)? {
        "series" => r#"{"series":null}"#.to_owned(),
        name => format!(r#"{{"cursor":"","{name}":[]}}"#),
    };
    Some(Reply::json(200, body))
}

/// An empty page with a cursor. For trades it is made where the rows are made.
fn empty_page(request: &Request) -> Option<Reply> {
    let name = list_name(request).filter(|name| ["markets", "events"].contains(name))?;
    let next = cursor::same_place(request.filled_param("cursor"));
    Some(Reply::json(200, format!(r#"{{"cursor":"{next}","{name}":[]}}"#)))
}

/// The same request without its filters.
pub(crate) fn without_filters(request: &Request) -> Request {
    let mut request = request.clone();
    let is_kept = |name: &str| ["limit", "cursor", "with_nested_markets"].contains(&name);
    request.query.retain(|(name, _)| is_kept(name));
    request
}

pub(crate) fn delivery(fault: Fault) -> Delivery {
    match fault {
        Fault::Truncated => Delivery::Truncated,
        Fault::SlowBody { bytes_per_step, pause_ms } => Delivery::Slow { bytes_per_step, pause_ms },
        Fault::CloseAfter => Delivery::CloseAfter,
        _ => Delivery::Whole,
    }
}

fn retry_after_text(world: &World, when: RetryAfter) -> String {
    match when {
        RetryAfter::Words(words) => words.to_owned(),
        RetryAfter::Seconds(seconds) => seconds.to_string(),
        RetryAfter::HttpDate(seconds) => {
            let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
            http_date(world.now_us().saturating_add(seconds.saturating_mul(SECOND_US)))
        }
    }
}
