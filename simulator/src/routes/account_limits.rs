//! `GET /account/limits`.

use serde_json::{Value, json};

use crate::account::{Grant, LimitsShape};
use crate::http::{Reply, Request};
use crate::refusal;
use crate::rules::Rules;

pub(crate) fn answer(rules: &Rules, request: &Request) -> Reply {
    if request.header("kalshi-access-key").is_none() {
        return refusal::unauthorized(rules, "no KALSHI-ACCESS-KEY");
    }
    let account = &rules.account;
    let rate = account.read_rate;
    let body = match account.shape {
        LimitsShape::Nested => {
            let bucket = json!({ "refill_rate": rate, "bucket_capacity": rate.saturating_mul(2) });
            json!({
                "grants": account.grants.iter().map(grant).collect::<Vec<_>>(),
                "read": bucket,
                "usage_tier": account.tier,
                "write": bucket,
            })
        }
        LimitsShape::Flat => {
            json!({ "read_limit": rate, "usage_tier": account.tier, "write_limit": rate })
        }
    };
    Reply::json(200, body.to_string())
}

fn grant(grant: &Grant) -> Value {
    let mut body = json!({
        "exchange_instance": "event_contract",
        "level": grant.level,
        "source": "manual",
    });
    // A permanent grant has no such field.
    if let Some(expires_s) = grant.expires_s {
        body["expires_ts"] = Value::from(expires_s);
    }
    body
}
