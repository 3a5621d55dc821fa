//! Kalshi's REST API: one request, one typed answer. Retrying is the caller's business.

mod wire;
mod normalize;
mod decode;
mod sign;
mod client;

pub use client::{Access, Client, Endpoint};
pub use sign::Signer;
