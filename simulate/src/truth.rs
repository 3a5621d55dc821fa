//! What the exchange really has: every trade, when it can be seen, and whether the database has it.

use std::collections::{BTreeMap, HashMap};

use kalshi_simulator::Trade;

/// A trade of the exchange.
#[derive(Clone, Debug)]
pub struct Known {
    /// As the exchange shows it.
    pub trade: Trade,
    /// From when on.
    pub shown_at: i64,
    /// Whether it was stored.
    pub is_stored: bool,
}

/// All trades of a history.
#[derive(Debug, Default)]
pub struct Truth {
    all: Vec<Known>,
    by_id: HashMap<String, usize>,
    by_market: BTreeMap<String, Vec<usize>>,
    /// When each market can be seen first, and when it closes.
    opened: BTreeMap<String, (i64, i64)>,
}

impl Truth {
    /// A trade that there will be.
    pub fn add(&mut self, trade: Trade, shown_at: i64) {
        let at = self.all.len();
        self.by_id.insert(trade.trade_id.clone(), at);
        self.by_market.entry(trade.ticker.clone()).or_default().push(at);
        self.all.push(Known { trade, shown_at, is_stored: false });
    }

    /// A market that there will be.
    pub fn open(&mut self, ticker: &str, at: i64, closes_at: i64) {
        self.opened.insert(ticker.to_owned(), (at, closes_at));
    }

    /// Every market with the time from which it can be seen, and that of its close.
    pub fn markets(&self) -> impl Iterator<Item = (&str, i64, i64)> {
        self.opened.iter().map(|(ticker, (at, closes_at))| (ticker.as_str(), *at, *closes_at))
    }

    /// Notes that a trade is stored; whether it is one of the exchange's and was not stored before.
    pub fn store(&mut self, id: &str) -> Result<(), String> {
        let Some(at) = self.by_id.get(id) else {
            return Err(format!("trade {id} was stored, and the exchange has none"));
        };
        if std::mem::replace(&mut self.all[*at].is_stored, true) {
            return Err(format!("trade {id} was stored twice"));
        }
        Ok(())
    }

    /// Whether any trade of a market (of the tape: of any) is stored.
    pub fn has_stored(&self, market: &str) -> bool {
        self.of(Some(market).filter(|name| *name != "*")).any(|known| known.is_stored)
    }

    /// The trade of this id.
    pub fn get(&self, id: &str) -> Option<&Known> {
        self.by_id.get(id).map(|at| &self.all[*at])
    }

    /// The trades of a market, or of all.
    pub fn of<'a>(&'a self, market: Option<&str>) -> Box<dyn Iterator<Item = &'a Known> + 'a> {
        match market {
            None => Box::new(self.all.iter()),
            Some(market) => {
                let places = self.by_market.get(market).into_iter().flatten();
                Box::new(places.map(|at| &self.all[*at]))
            }
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}
