//! One file for each resource, and their common parts.

pub(crate) mod account_limits;
pub(crate) mod books;
mod candle_json;
pub(crate) mod candles;
pub(crate) mod events;
pub(crate) mod exchange_status;
pub(crate) mod fault;
pub(crate) mod historical_cutoff;
mod market_filter;
mod market_json;
pub(crate) mod markets;
mod paging;
pub(crate) mod series;
pub(crate) mod trades;
mod trades_fault;
mod trades_page;
