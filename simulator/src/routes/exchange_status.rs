//! `GET /exchange/status`.

use serde_json::json;

use crate::http::Reply;
use crate::rules::Rules;

pub(crate) fn answer(rules: &Rules) -> Reply {
    let status = &rules.exchange_status;
    let body = json!({
        "exchange_active": status.exchange_active,
        "exchange_estimated_resume_time": status.estimated_resume_time,
        "exchange_index_statuses": [{
            "description": "default",
            "exchange_active": status.exchange_active,
            "exchange_index": 0,
            "intra_exchange_transfers_active": status.exchange_active,
            "trading_active": status.trading_active,
        }],
        "intra_exchange_transfers_active": status.exchange_active,
        "trading_active": status.trading_active,
    });
    Reply::json(if status.unavailable { 503 } else { 200 }, body.to_string())
}
