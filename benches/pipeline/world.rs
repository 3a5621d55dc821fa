//! The simulated exchange, and the proof that a database holds its trades.

use std::hash::{DefaultHasher, Hasher as _};

use kalshi_ingest::domain::time::Timestamp;
use kalshi_simulator::{Exchange, RateLimit, Rules, Server, Trade, seeded_trades};

const SECOND_US: i64 = 1_000_000;
const DAY_US: i64 = 86_400 * SECOND_US;
/// The newest trade is so old that a backfill may call its window complete.
const SETTLED_US: i64 = 600 * SECOND_US;

/// An exchange, served on loopback, and its trades.
pub(crate) struct World {
    exchange: Exchange,
    server: Server,
    pub(crate) markets: Vec<String>,
    pub(crate) trades: usize,
    from_us: i64,
    until_us: i64,
    truth: Stored,
}

/// The content of both tables: their rows, and a checksum over their fields in the order of the ids.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    trades: Checksum,
    raw_events: Checksum,
}

/// The number of lines, and a checksum over them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Checksum {
    lines: usize,
    sum: u64,
}

impl Stored {
    pub(crate) fn new(trades: Checksum, raw_events: Checksum) -> Stored {
        Stored { trades, raw_events }
    }
}

impl Checksum {
    /// The checksum of these lines in this order.
    pub(crate) fn of(lines: impl IntoIterator<Item = String>) -> Checksum {
        let mut hasher = DefaultHasher::new();
        let mut count = 0;
        for line in lines {
            hasher.write(line.as_bytes());
            count += 1;
        }
        Checksum { lines: count, sum: hasher.finish() }
    }
}

impl World {
    /// Two markets with these trades on the last day.
    pub(crate) fn of_two_markets(trades: usize) -> World {
        World::new(&["KXA-26NOV22-A".to_owned(), "KXB-26NOV22-B".to_owned()], trades)
    }

    /// These markets with as many trades each on the last day.
    pub(crate) fn new(markets: &[String], trades: usize) -> World {
        let exchange = Exchange::new(Rules::default());
        let until_us = exchange.now_us() - SETTLED_US;
        let until_us = until_us - until_us % SECOND_US;
        let from_us = until_us - DAY_US;
        let each = trades.div_ceil(markets.len()).max(1);
        for market in markets {
            exchange.add_all(seeded_trades(1, market, each, from_us, until_us));
        }
        let truth = truth(exchange.all_trades());
        let server = exchange.serve().unwrap();
        let trades = each * markets.len();
        World { exchange, server, markets: markets.to_vec(), trades, from_us, until_us, truth }
    }

    /// The address of the API.
    pub(crate) fn base_url(&self) -> String {
        self.server.base_url()
    }

    /// The first instant of the trades and the first one after them, for `backfill`.
    pub(crate) fn span(&self) -> [String; 2] {
        [self.from_us, self.until_us].map(|us| Timestamp::from_micros(us).to_string())
    }

    /// Limits the rate of requests that the exchange grants.
    pub(crate) fn limit(&self, per_second: Option<u32>) {
        let limit = per_second.map(|per_second| RateLimit { per_second, burst: per_second });
        self.exchange.change(|world| world.rules.keyless_limit = limit);
    }

    /// Fails unless a database holds the exchange's trades and their raw events, each once.
    pub(crate) fn check(&self, stored: &Stored, why: &str) {
        assert_eq!(stored, &self.truth, "{why}: left is stored, right is the exchange's");
    }
}

/// The content of a database that has all of these trades.
fn truth(mut trades: Vec<Trade>) -> Stored {
    trades.sort_by(|a, b| a.trade_id.cmp(&b.trade_id));
    let fields = Checksum::of(trades.iter().map(|trade| {
        let yes_e4 = i64::from(trade.yes_price_e6);
        let (side, price_e4) =
            if trade.taker_yes { ("yes", yes_e4) } else { ("no", 1_000_000 - yes_e4) };
        trade_line(&Fields {
            trade_id: &trade.trade_id,
            market: &trade.ticker,
            side,
            price_e4,
            quantity_e2: i64::try_from(trade.count_e2).unwrap(),
            traded_us: trade.created_us,
            is_block_trade: Some(trade.is_block_trade),
        })
    }));
    let raw_events = trades.iter().map(|trade| raw_line(&trade.trade_id, &trade.json()));
    Stored::new(fields, Checksum::of(raw_events))
}

/// The fields of a stored trade.
pub(crate) struct Fields<'a> {
    pub(crate) trade_id: &'a str,
    pub(crate) market: &'a str,
    pub(crate) side: &'a str,
    /// In 0.0001 cent.
    pub(crate) price_e4: i64,
    pub(crate) quantity_e2: i64,
    pub(crate) traded_us: i64,
    pub(crate) is_block_trade: Option<bool>,
}

/// A trade as one line of the checksum.
pub(crate) fn trade_line(fields: &Fields<'_>) -> String {
    let Fields { trade_id, market, side, price_e4, quantity_e2, traded_us, is_block_trade } =
        fields;
    format!("{trade_id} {market} {side} {price_e4} {quantity_e2} {traded_us} {is_block_trade:?}\n")
}

/// A raw event as one line of the checksum.
pub(crate) fn raw_line(trade_id: &str, payload: &str) -> String {
    format!("{trade_id} {payload}\n")
}
