//! What the exchange really has: every trade, when it can be seen, and whether the database has it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use kalshi_ingest::domain::trade as stored;
use kalshi_simulator::Trade;

/// A trade of the exchange.
#[derive(Clone, Debug)]
pub struct Known {
    /// As the exchange shows it first.
    pub trade: Trade,
    /// From when on.
    pub shown_at: i64,
    /// As it shows it later, each with the time from which it does.
    others: Vec<(i64, Trade)>,
    /// Whether it was stored.
    pub is_stored: bool,
    /// The values that were stored first: those of the first showing, or of this later one.
    stored_as: Option<usize>,
}

impl Known {
    /// The values that have to be stored for good.
    pub fn stored(&self) -> &Trade {
        self.stored_as.and_then(|at| self.others.get(at)).map_or(&self.trade, |(_, trade)| trade)
    }
}

/// A row of the exchange that is no trade anybody could read.
#[derive(Clone, Debug)]
pub struct Odd {
    /// Whose tape it is on.
    pub ticker: String,
    /// Where on it.
    pub created_us: i64,
    /// From when on it is shown.
    pub shown_at: i64,
    /// What no other row holds.
    pub tag: String,
    /// Whether it is in quarantine.
    pub is_kept: bool,
}

/// A market of the exchange.
#[derive(Clone, Debug)]
pub struct Lifespan {
    /// When it can be seen first.
    pub opened: i64,
    /// When it closes in the end, whatever was said before.
    pub closes: i64,
    /// When it is taken away.
    pub vanishes: Option<i64>,
    /// How it is called in the end.
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
    /// Since when, and from which time on, trades are in the live tier.
    live: Vec<(i64, i64)>,
    /// The markets of which a trade counts for another number of contracts than it did at first.
    recounted: BTreeSet<String>,
}

impl Truth {
    /// A trade that there will be.
    pub fn add(&mut self, trade: Trade, shown_at: i64) {
        let at = self.all.len();
        self.by_id.insert(trade.trade_id.clone(), at);
        self.by_market.entry(trade.ticker.clone()).or_default().push(at);
        let others = Vec::new();
        self.all.push(Known { trade, shown_at, others, is_stored: false, stored_as: None });
    }

    /// A trade will be shown with these values from then on; whether it is shown before.
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

    /// What is older than `before` leaves the live tier then.
    pub fn archive(&mut self, at: i64, before: i64) {
        self.live.push((at, before));
    }

    /// From when on trades are in the live tier.
    pub fn live_from(&self, now: i64) -> Option<i64> {
        self.live.iter().filter(|(at, _)| *at <= now).map(|(_, before)| *before).max()
    }

    /// Whether anything leaves the live tier.
    pub fn is_archiving(&self) -> bool {
        !self.live.is_empty()
    }

    /// Whether what is stored of a market may differ from what the exchange counts by now: the first values
    /// stay, and so does what was stored of a market that is gone.
    pub fn is_counted_otherwise(&self, market: &str) -> bool {
        self.recounted.contains(market)
            || self.market(market).is_some_and(|lifespan| lifespan.vanishes.is_some())
    }

    /// An odd row that there will be.
    pub fn add_odd(&mut self, odd: Odd) {
        self.odd.push(odd);
    }

    /// A market that there will be.
    pub fn open(&mut self, ticker: &str, at: i64, closes: i64) {
        let lifespan = Lifespan { opened: at, closes, vanishes: None, title: None };
        self.markets.insert(ticker.to_owned(), lifespan);
    }

    /// What becomes of a market.
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

    /// Notes that a trade is stored; whether it is one of the exchange's, was shown so by now, and was not
    /// stored before.
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

    /// Notes that an event is in quarantine; whether it holds an odd row, or several that run into each other.
    pub fn keep(&mut self, payload: &str) -> bool {
        let held = self.odd.iter_mut().filter(|odd| payload.contains(&odd.tag));
        held.map(|odd| odd.is_kept = true).count() > 0
    }

    /// The odd rows of a market, or of all.
    pub fn odd<'a>(&'a self, market: Option<&'a str>) -> impl Iterator<Item = &'a Odd> {
        self.odd.iter().filter(move |odd| market.is_none_or(|name| odd.ticker == name))
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

/// Whether a row says what the exchange says of a trade.
fn is_same(row: &stored::Trade, trade: &Trade) -> bool {
    let (side, price_e4) = side_and_price(trade);
    row.market.as_str() == trade.ticker
        && row.side.as_str() == side
        && i64::from(row.price.e4_cents()) == price_e4
        && u64::try_from(row.quantity.e2()) == Ok(trade.count_e2)
        && row.traded_at.micros() == trade.created_us
}

/// What the taker took, and what one contract of it cost in ten-thousandths of a cent.
pub fn side_and_price(trade: &Trade) -> (&'static str, i64) {
    let yes = i64::from(trade.yes_price_e6);
    if trade.taker_yes { ("yes", yes) } else { ("no", 1_000_000 - yes) }
}
