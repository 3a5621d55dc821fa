//! `GET /series` and `/series/{series_ticker}`.

use crate::catalogue::Series;
use crate::http::Reply;
use crate::refusal;
use crate::rules::UnknownSeries;
use crate::text::{Object, array};
use crate::world::World;

/// All series at once: the exchange has no pages here. An empty list is `null`.
pub(crate) fn list(world: &World) -> Reply {
    let rows: Vec<String> = world.series().map(|(ticker, series)| json(ticker, series)).collect();
    let series = match rows.len() {
        0 => "null".to_owned(),
        _ => array(rows.iter().map(String::as_str)),
    };
    Reply { row_count: rows.len(), ..Reply::json(200, format!("{{\"series\":{series}}}")) }
}

pub(crate) fn one(world: &World, ticker: &str) -> Reply {
    match world.series().find(|(known, _)| *known == ticker) {
        Some((_, series)) => Reply::json(200, format!("{{\"series\":{}}}", json(ticker, series))),
        None => match world.rules.unknown_series {
            UnknownSeries::NotFound => refusal::not_found(&world.rules),
            UnknownSeries::Refused => refusal::bad_request(&world.rules, "invalid series ticker"),
            UnknownSeries::Null => Reply::json(200, r#"{"series":null}"#),
        },
    }
}

fn json(ticker: &str, series: &Series) -> String {
    let mut json = Object::new();
    json.raw("additional_prohibitions", "null")
        .raw("categories", r#"["Simulation"]"#)
        .text("category", "Simulation")
        .text("contract_terms_url", "https://example.com/terms.pdf")
        .text("contract_url", "https://example.com/contract.pdf")
        .raw("exchange_index", "0")
        .raw("fee_multiplier", "1")
        .text("fee_type", "quadratic")
        .text("frequency", "custom")
        .time("last_updated_ts", series.updated_us)
        .raw("settlement_sources", "null")
        .raw("tags", "null")
        .text("ticker", ticker)
        .text("title", &series.title);
    json.end()
}
