//! A simulated Kalshi exchange: the public trades endpoints over real HTTP on loopback.
//!
//! Tests say what the world is (trades, clock, rules) and what goes wrong (faults); the client
//! under test cannot tell the difference from the exchange, except that here every unknown of the
//! API is a switch in [`Rules`].
//!
//! ```
//! use kalshi_simulator::{Exchange, Fault, Rules, seeded_trades};
//!
//! let exchange = Exchange::new(Rules::default());
//! exchange.add_all(seeded_trades(1, "KXTEST-26NOV22-A", 2_500, 0, 3_600_000_000));
//! exchange.script([Fault::None, Fault::Truncated]); // The second page breaks off.
//! let server = exchange.serve()?;
//! println!("GET {}/markets/trades?ticker=KXTEST-26NOV22-A", server.base_url());
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Layers, lowest first: `timestamp`, `random`, `clock`, `trade`, `tape`, `cursor` know no HTTP;
//! `http` knows no exchange; `routes` hold one resource each; `router` admits requests to them;
//! `exchange` keeps the state.

mod asked;
mod clock;
mod cursor;
mod exchange;
mod fault;
mod generate;
mod http;
mod random;
mod rate_limit;
mod recorded;
mod refusal;
mod router;
mod routes;
mod rules;
mod signing;
mod tape;
mod timestamp;
mod trade;
mod world;

pub use asked::Asked;
pub use exchange::Exchange;
pub use fault::{Fault, RetryAfter};
pub use generate::seeded_trades;
pub use http::Server;
pub use rules::{
    ErrorShape, ExchangeStatus, Framing, ListEnd, MalformedCursor, MaxTs, RateClock, RateLimit,
    Rules, ZeroLimit,
};
pub use signing::PublicKey;
pub use trade::{Shape, Trade};
pub use world::World;

/// Where the API lives on a host; part of what is signed.
const BASE_PATH: &str = "/trade-api/v2";
