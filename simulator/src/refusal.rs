//! Error answers in the shapes that the exchange has been seen to send.

use serde_json::{Value, json};

use crate::http::Reply;
use crate::rules::{ErrorShape, Rules};

pub(crate) const TOO_MANY: &str = r#"{"error":"too many requests"}"#;

pub(crate) fn bad_request(rules: &Rules, details: &str) -> Reply {
    refusal(rules, 400, Some(details))
}

pub(crate) fn not_found(rules: &Rules) -> Reply {
    refusal(rules, 404, None)
}

/// The archive has a different code for an unknown market.
pub(crate) fn no_historical_market(rules: &Rules) -> Reply {
    let code = "failed_to_get_market_by_ticker:_not_found";
    written(rules, 404, json!({ "code": code, "message": "not found" }))
}

pub(crate) fn method_not_allowed(rules: &Rules) -> Reply {
    refusal(rules, 405, None)
}

pub(crate) fn unauthorized(rules: &Rules, details: &str) -> Reply {
    refusal(rules, 401, Some(details))
}

pub(crate) fn too_many() -> Reply {
    Reply::json(429, TOO_MANY)
}

/// An answer with only a status: HTML from 500 on, as the content network sends it.
pub(crate) fn of_status(rules: &Rules, status: u16) -> Reply {
    match status {
        429 => too_many(),
        500.. => Reply::html(status),
        _ => refusal(rules, status, None),
    }
}

fn refusal(rules: &Rules, status: u16, details: Option<&str>) -> Reply {
    let (code, message) = words(status);
    let mut error = json!({ "code": code, "message": message });
    if let Some(details) = details {
        error["details"] = Value::from(details);
    }
    written(rules, status, error)
}

fn written(rules: &Rules, status: u16, error: Value) -> Reply {
    let body = match rules.error_shape {
        ErrorShape::Nested => json!({ "error": error }),
        ErrorShape::Flat => error,
    };
    Reply::json(status, body.to_string())
}

fn words(status: u16) -> (&'static str, &'static str) {
    match status {
        400 => ("bad_request", "bad request"),
        401 => ("token_authentication_failure", "token authentication failure"),
        403 => ("forbidden", "forbidden"),
        404 => ("not_found", "not found"),
        405 => ("method_not_allowed", "method not allowed"),
        408 => ("request_timeout", "request timeout"),
        425 => ("too_early", "too early"),
        _ => ("error", "error"),
    }
}
