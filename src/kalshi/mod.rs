//! Kalshi's REST API: one request, one typed answer. Retrying is the caller's business.

mod wire;
mod normalize;
mod decode;
mod decode_market;
mod sign;
mod client;
mod trades;
mod markets;

pub use client::{Access, Client, Endpoint};
pub use markets::{BookAnswer, MARKETS_PER_REQUEST, MarketList, MarketsPage};
pub use sign::Signer;
