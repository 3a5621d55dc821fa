//! Kalshi's REST API: one request, one typed answer. The caller decides about repetitions.

mod venue;
mod wire;
mod rows;
mod normalize;
mod decode;
mod terms;
mod decode_market;
mod sign;
mod transport;
mod client;
mod trades;
mod status;
mod account;
mod markets;
mod single;
mod candles;
pub(crate) mod hostile;

pub use candles::{Asked, CANDLES_PER_BATCH, CANDLES_PER_MARKET};
pub use client::{Access, Client, Endpoint};
pub use decode_market::{BookAnswer, MarketsPage};
pub use markets::{MARKETS_PER_REQUEST, MarketList};
pub use sign::Signer;
pub use single::EventsPage;
pub use transport::Transport;
pub use venue::{VENUE, is_combo, means_combos};

use crate::domain::page::Page;
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;
use crate::domain::trade::{RawEvent, Rejected};
use crate::failure::Failure;

/// Reads one raw event by the rules of today. `asked` is the scope that it is stored under; it was received by `now`.
pub fn normalize(payload: &str, asked: &Scope, now: Timestamp) -> Result<RawEvent, Rejected> {
    normalize::event(payload, asked, now)
}

/// Decodes a page of trades of `asked` that was received at `now`, without a connection. Only benchmarks use it.
#[doc(hidden)]
pub fn decode_page(body: &[u8], asked: &Scope, now: Timestamp) -> Result<Page, Failure> {
    decode::page(body, asked, now, now)
}
