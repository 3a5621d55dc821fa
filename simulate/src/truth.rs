//! The data that the exchange really has: every trade, the time from which it is visible, and whether the database has
//! it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use kalshi_ingest::domain::trade as stored;
use kalshi_simulator::Trade;

/// A trade of the exchange.
#[derive(Clone, Debug)]
pub struct Known {
    /// The trade as the exchange shows it first.
    pub trade: Trade,
    /// The time from which it is shown.
    pub shown_at: i64,
    /// Its later versions, each with the time from which it is shown.
    others: Vec<(i64, Trade)>,
    /// Whether it was stored.
    pub is_stored: bool,
    /// The version that was stored first: `None` for the first one, else an index of `others`.
    stored_as: Option<usize>,
}

impl Known {
    /// The values that have to stay stored.
    pub fn stored(&self) -> &Trade {
        self.stored_as.and_then(|at| self.others.get(at)).map_or(&self.trade, |(_, trade)| trade)
    }
}

/// A row of the exchange that cannot be read as a trade.
#[derive(Clone, Debug)]
pub struct Odd {
    /// The market of the tape that holds it.
    pub ticker: String,
    /// Its time on the tape.
    pub created_us: i64,
    /// The time from which it is shown.
    pub shown_at: i64,
    /// A text that no other row contains.
    pub tag: String,
    /// Whether it is in quarantine.
    pub is_kept: bool,
}

/// A market of the exchange.
#[derive(Clone, Debug)]
pub struct Lifespan {
    /// The time from which it is visible.
    pub opened: i64,
    /// Its final closing time, whatever was described before.
    pub closes: i64,
    /// The time at which it is removed.
    pub vanishes: Option<i64>,
    /// Its final title.
    pub title: Option<String>,
}

/// All trades of a history.
#[derive(Debug, Default)]
pub struct Truth {
    all: Vec<Known>,
    by_id: HashMap<String, usize>,
    by_market: BTreeMap<String, Vec<usize>>,
    odd: Vec<Odd>,
    markets: BTreeMap<String, Lifespan>,
    /// The moves of the archive cutoff: the time of each, and the time from which trades are live then.
    live: Vec<(i64, i64)>,
    /// The markets with a trade whose number of contracts changed.
    recounted: BTreeSet<String>,
}

impl Truth {
    /// Adds a trade that will be shown.
    pub fn add(&mut self, trade: Trade, shown_at: i64) {
        let at = self.all.len();
        self.by_id.insert(trade.trade_id.clone(), at);
        self.by_market.entry(trade.ticker.clone()).or_default().push(at);
        let others = Vec::new();
        self.all.push(Known { trade, shown_at, others, is_stored: false, stored_as: None });
    }

    /// Adds a later version of a trade. Returns whether the trade is shown before that.
    pub fn add_again(&mut self, trade: Trade, shown_at: i64) -> bool {
        let Some(at) = self.by_id.get(&trade.trade_id) else { return false };
        let known = &mut self.all[*at];
        if known.shown_at >= shown_at {
            return false;
        }
        if known.trade.count_e2 != trade.count_e2 {
            self.recounted.insert(trade.ticker.clone());
        }
        known.others.push((shown_at, trade));
        true
    }

    /// Moves the archive cutoff to `before` at this time.
    pub fn archive(&mut self, at: i64, before: i64) {
        self.live.push((at, before));
    }

    /// The time from which trades are in the live tier.
    pub fn live_from(&self, now: i64) -> Option<i64> {
        self.live.iter().filter(|(at, _)| *at <= now).map(|(_, before)| *before).max()
    }

    /// Whether the archive cutoff moves at all.
    pub fn is_archiving(&self) -> bool {
        !self.live.is_empty()
    }

    /// Whether the stored volume of a market may differ from the exchange's present figure. The first values of a
    /// trade stay stored, and so do the trades of a removed market.
    pub fn is_counted_otherwise(&self, market: &str) -> bool {
        self.recounted.contains(market)
            || self.market(market).is_some_and(|lifespan| lifespan.vanishes.is_some())
    }

    /// Adds an odd row that will be shown.
    pub fn add_odd(&mut self, odd: Odd) {
        self.odd.push(odd);
    }

    /// Adds a market that will open.
    pub fn open(&mut self, ticker: &str, at: i64, closes: i64) {
        let lifespan = Lifespan { opened: at, closes, vanishes: None, title: None };
        self.markets.insert(ticker.to_owned(), lifespan);
    }

    /// Changes the data of a market.
    pub fn change(&mut self, ticker: &str, change: impl FnOnce(&mut Lifespan)) {
        if let Some(lifespan) = self.markets.get_mut(ticker) {
            change(lifespan);
        }
    }

    /// A market.
    pub fn market(&self, ticker: &str) -> Option<&Lifespan> {
        self.markets.get(ticker)
    }

    /// Every market.
    pub fn markets(&self) -> impl Iterator<Item = (&str, &Lifespan)> {
        self.markets.iter().map(|(ticker, lifespan)| (ticker.as_str(), lifespan))
    }

    /// Notes that a trade is stored. An error if it is no trade of the exchange, was not yet shown with these values,
    /// or was stored before.
    pub fn store(&mut self, row: &stored::Trade, now: i64) -> Result<(), String> {
        let id = &row.trade_id;
        let Some(at) = self.by_id.get(&**id) else {
            return Err(format!("trade {id} was stored, and the exchange has none"));
        };
        let known = &mut self.all[*at];
        if std::mem::replace(&mut known.is_stored, true) {
            return Err(format!("trade {id} was stored twice"));
        }
        if is_same(row, &known.trade) {
            return Ok(());
        }
        let is_shown = |(shown_at, trade): &(i64, Trade)| *shown_at <= now && is_same(row, trade);
        known.stored_as = known.others.iter().position(is_shown);
        match known.stored_as {
            Some(_) => Ok(()),
            None => Err(format!("trade {id} was stored with values that were never shown")),
        }
    }

    /// Notes that an event is in quarantine. Returns whether it holds an odd row, or several that were not separated.
    pub fn keep(&mut self, payload: &str) -> bool {
        let held = self.odd.iter_mut().filter(|odd| payload.contains(&odd.tag));
        held.map(|odd| odd.is_kept = true).count() > 0
    }

    /// The odd rows of a market, or of all markets.
    pub fn odd<'a>(&'a self, market: Option<&'a str>) -> impl Iterator<Item = &'a Odd> {
        self.odd.iter().filter(move |odd| market.is_none_or(|name| odd.ticker == name))
    }

    /// Whether any trade of a market is stored; for the tape, of any market.
    pub fn has_stored(&self, market: &str) -> bool {
        self.of(Some(market).filter(|name| *name != "*")).any(|known| known.is_stored)
    }

    /// The trade of this id.
    pub fn get(&self, id: &str) -> Option<&Known> {
        self.by_id.get(id).map(|at| &self.all[*at])
    }

    /// The trades of a market, or of all markets.
    pub fn of<'a>(&'a self, market: Option<&str>) -> Box<dyn Iterator<Item = &'a Known> + 'a> {
        match market {
            None => Box::new(self.all.iter()),
            Some(market) => {
                let places = self.by_market.get(market).into_iter().flatten();
                Box::new(places.map(|at| &self.all[*at]))
            }
        }
    }

    /// The number of trades.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is no trade.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

/// Whether a row has the values of the exchange's trade.
fn is_same(row: &stored::Trade, trade: &Trade) -> bool {
    let (side, price_e4) = side_and_price(trade);
    row.market.as_str() == trade.ticker
        && row.side.as_str() == side
        && i64::from(row.price.e4_cents()) == price_e4
        && u64::try_from(row.quantity.e2()) == Ok(trade.count_e2)
        && row.traded_at.micros() == trade.created_us
}

/// The taker's side, and the price of one contract of that side in ten-thousandths of a cent.
pub fn side_and_price(trade: &Trade) -> (&'static str, i64) {
    let yes = i64::from(trade.yes_price_e6);
    if trade.taker_yes { ("yes", yes) } else { ("no", 1_000_000 - yes) }
}
