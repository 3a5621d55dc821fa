//! A simulated Kalshi exchange: public trades, markets, candles, events, series and order books
//! over real HTTP on loopback.
//!
//! Tests define the world (trades, markets, clock, rules) and the faults. The client under test cannot distinguish the
//! simulation from the exchange, except that here each unknown point of the API is a switch in [`Rules`].
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
//! A market with trades exists without being added; its other properties are set by a call:
//!
//! ```
//! use kalshi_simulator::{Book, Exchange, Fault, Market, Rules};
//!
//! let exchange = Exchange::new(Rules::default());
//! let now_us = exchange.now_us();
//! exchange.add_market(Market::new("KXTEST-1-A", "KXTEST-1", now_us, now_us + 3_600_000_000));
//! exchange.set_book("KXTEST-1-A", Book { yes: vec![(4_200, 1_000)], no: vec![(5_700, 250)] });
//! exchange.script_for("/markets", [Fault::Status(503)]); // The next list of markets only.
//! exchange.settle_market("KXTEST-1-A", "yes", 10_000);
//! assert_eq!(exchange.market("KXTEST-1-A").unwrap().result, "yes");
//! ```
//!
//! Layers, lowest first: `digits`, `timestamp`, `text`, `random`, `clock`, `period`, `trade`, `tape`, `phantom`,
//! `market`, `book`, `catalogue`, `cursor`, `candle`, `account` know no HTTP; `http` knows no exchange; each of the
//! `routes` holds one resource; the router reads and changes `state`; `router` admits requests to the routes;
//! `exchange` has the lock.

mod account;
mod asked;
mod book;
mod candle;
mod catalogue;
mod clock;
mod cursor;
mod digits;
mod exchange;
mod exchange_markets;
mod fault;
mod generate;
mod http;
mod market;
mod path_faults;
mod period;
mod phantom;
mod public_key;
mod random;
mod rate_limit;
mod recorded;
mod refusal;
mod router;
mod routes;
mod rules;
mod signing;
mod state;
mod tape;
mod text;
mod tier;
mod timestamp;
mod trade;
mod world;
mod world_markets;

pub use account::{Account, Grant, LimitsShape};
pub use asked::Asked;
pub use book::Book;
pub use exchange::Exchange;
pub use fault::{Fault, RetryAfter};
pub use generate::{seeded_book, seeded_trades};
pub use http::{Answer, Delivery, Server};
pub use market::{Market, Status};
pub use public_key::PublicKey;
pub use rules::{
    ErrorShape, ExchangeStatus, Framing, ListEnd, MalformedCursor, MarketVolume, MaxTs, RateClock,
    RateLimit, Rules, UnknownSeries, ZeroLimit,
};
pub use trade::{Shape, Trade};
pub use world::World;

/// The path of the API on a host, a part of the signed message.
const BASE_PATH: &str = "/trade-api/v2";
