//! What the tests stand on.

pub(crate) mod postgres;
pub(crate) mod pooler;
pub(crate) mod counts;
pub(crate) mod database;
pub(crate) mod bench;
pub(crate) mod round_trips;
pub(crate) mod recorder;
pub(crate) mod reader;
pub(crate) mod full_pipe;
pub(crate) mod proxy;

use kalshi_ingest::domain::scope::Scope;

/// The scope that is written so: `*` is the tape.
pub(crate) fn scope(text: &str) -> Scope {
    Scope::parse(text).unwrap()
}

pub(crate) fn scopes(texts: &[&str]) -> Vec<Scope> {
    texts.iter().map(|text| scope(text)).collect()
}
