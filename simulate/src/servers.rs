//! The exchange as a client meets it: its servers, of which one may be behind or ahead, caches before them, and
//! what goes wrong between.

use std::collections::BTreeMap;

use kalshi_simulator::{Answer, Exchange, Fault, Market, MarketVolume, Rules, Status, Trade};

use crate::counts::Counts;
use crate::history::{HOUR, Trouble};
use crate::random::Random;

/// What happens to the world.
#[derive(Clone, Debug)]
pub enum Event {
    /// A market is there.
    Open {
        /// Its name.
        ticker: String,
        /// When it closes.
        closes_at: i64,
    },
    /// A trade can be seen.
    Show(Box<Trade>),
    /// A market is settled.
    Settle(String),
    /// A market is gone.
    Remove(String),
}

/// A trouble that lasts.
#[derive(Clone, Debug)]
struct Active {
    id: u64,
    trouble: Trouble,
    per_mille: u64,
    begun_at: i64,
}

/// What a client gets.
#[derive(Debug)]
pub struct Got {
    /// The answer.
    pub answer: Answer,
    /// How old a cache says it is, in seconds.
    pub age: Option<i64>,
}

/// Everything behind the wire.
pub struct Servers {
    rules: Rules,
    current: Exchange,
    /// One that is behind, while one is.
    behind: Option<(Exchange, usize)>,
    feed: Vec<(i64, Event)>,
    fed: usize,
    active: Vec<Active>,
    cache: BTreeMap<String, (i64, Answer)>,
    asked: u64,
    seed: u64,
}

impl Servers {
    /// An exchange in which all this will happen, in the order of time.
    pub fn new(rules: &Rules, feed: Vec<(i64, Event)>, seed: u64) -> Servers {
        Servers {
            rules: rules.clone(),
            current: Exchange::new(rules.clone()),
            behind: None,
            feed,
            fed: 0,
            active: Vec::new(),
            cache: BTreeMap::new(),
            asked: 0,
            seed,
        }
    }

    /// Lets everything happen that happens up to now.
    pub fn feed(&mut self, now: i64) {
        while let Some((at, event)) = self.feed.get(self.fed).filter(|(at, _)| *at <= now) {
            apply(&self.current, *at, event);
            self.fed += 1;
        }
    }

    /// A trouble begins.
    pub fn disturb(&mut self, id: u64, trouble: Trouble, per_mille: u64, now: i64) {
        match &trouble {
            Trouble::Lagging(_) | Trouble::Frozen => {
                self.behind = Some((Exchange::new(self.rules.clone()), 0));
            }
            Trouble::SettledTooSoon(ticker) if self.current.market(ticker).is_some() => {
                self.current.set_now(now);
                self.current.change_market(ticker, |market| {
                    market.status = Some(Status::Finalized);
                    "yes".clone_into(&mut market.result);
                    market.settlement_value_e4 = Some(10_000);
                    market.settled_us = Some(now);
                });
            }
            Trouble::LeftOut(ticker) => self.current.leave_out(ticker, true),
            Trouble::NoVolume(is_null) => {
                let volume = if *is_null { MarketVolume::Null } else { MarketVolume::Zero };
                self.current.change(|world| world.rules.market_volume = volume);
            }
            _ => {}
        }
        self.active.push(Active { id, trouble, per_mille, begun_at: now });
    }

    /// A trouble ends.
    pub fn calm(&mut self, id: u64) {
        let (ended, active) = self.active.drain(..).partition(|active| active.id == id);
        self.active = active;
        let ended: Vec<Active> = ended;
        for Active { trouble, .. } in ended {
            match &trouble {
                Trouble::SettledTooSoon(ticker) if self.current.market(ticker).is_some() => {
                    self.current.change_market(ticker, |market| {
                        market.status = None;
                        market.result.clear();
                        (market.settlement_value_e4, market.settled_us) = (None, None);
                    });
                }
                Trouble::LeftOut(ticker) => self.current.leave_out(ticker, false),
                Trouble::NoVolume(_) => {
                    self.current.change(|world| world.rules.market_volume = MarketVolume::Told);
                }
                _ => {}
            }
        }
        let is_behind =
            |active: &Active| matches!(active.trouble, Trouble::Lagging(_) | Trouble::Frozen);
        if !self.active.iter().any(is_behind) {
            self.behind = None;
        }
    }

    /// All troubles end.
    pub fn calm_all(&mut self) {
        let all: Vec<u64> = self.active.iter().map(|active| active.id).collect();
        for id in all {
            self.calm(id);
        }
        self.cache.clear();
    }

    /// Whether the database is in trouble now: before it did what it was told, or after.
    pub fn store_trouble(&mut self) -> Option<bool> {
        let mut random = Random::of(self.seed, &[0x57, self.asked]);
        self.asked += 1;
        self.active.iter().find_map(|active| match active.trouble {
            Trouble::StoreBreaks if random.chance(active.per_mille) => Some(true),
            Trouble::AckLost if random.chance(active.per_mille) => Some(false),
            _ => None,
        })
    }

    /// Answers one request.
    pub fn ask(
        &mut self,
        target: &str,
        headers: Vec<(String, String)>,
        now: i64,
        counts: &mut Counts,
    ) -> Got {
        self.asked += 1;
        let mut random = Random::of(self.seed, &[0xa5, self.asked]);
        let (mut date, mut as_of, mut fault, mut cached) = (now, None, Fault::None, None);
        let path = target.split('?').next().unwrap_or(target);
        let path = path.strip_prefix("/trade-api/v2").unwrap_or(path);
        for active in &self.active {
            if !random.chance(active.per_mille) {
                continue;
            }
            match &active.trouble {
                Trouble::Fault(pattern, kind) if is_of(pattern, path) => fault = *kind,
                Trouble::Ahead(us) => {
                    date = date.saturating_add(*us);
                    counts.one("answer: dated by another clock");
                }
                Trouble::Lagging(us) => as_of = Some(now - us),
                Trouble::Frozen => as_of = Some(active.begun_at),
                Trouble::Cached { age_max, is_told } => cached = Some((*age_max, *is_told)),
                _ => {}
            }
        }
        if let Some((age_max, is_told)) = cached
            && let Some((at, answer)) = self.cache.get(target)
            && now - at <= age_max
        {
            counts.one("answer: from a cache");
            let age = is_told.then_some((now - at) / 1_000_000);
            return Got { answer: answer.clone(), age };
        }
        let server = match (as_of, &mut self.behind) {
            (Some(as_of), Some((behind, fed))) => {
                while let Some((at, event)) = self.feed.get(*fed).filter(|(at, _)| *at <= as_of) {
                    apply(behind, *at, event);
                    *fed += 1;
                }
                counts.one("answer: by a server that is behind");
                behind
            }
            _ => &mut self.current,
        };
        server.set_now(date);
        if fault != Fault::None {
            if path.ends_with("/trades") {
                server.script([fault]);
            } else {
                server.script_for(path, [fault]);
            }
        }
        let answer = server.ask(target, headers).unwrap_or_else(|status| Answer {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            delivery: kalshi_simulator::Delivery::Whole,
            fault: Fault::None,
            row_count: 0,
        });
        if answer.fault != Fault::None {
            let name = format!("{:?}", answer.fault);
            let name = name.split([' ', '(']).next().unwrap_or_default();
            counts.one(&format!("fault: {name}"));
        }
        if cached.is_some() && answer.status == 200 && answer.fault == Fault::None {
            self.cache.insert(target.to_owned(), (now, answer.clone()));
        }
        Got { answer, age: None }
    }
}

/// Whether a path is one of these.
fn is_of(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => path.starts_with(start),
        None => path == pattern,
    }
}

/// Lets something happen to an exchange.
fn apply(exchange: &Exchange, at: i64, event: &Event) {
    exchange.set_now(at);
    match event {
        Event::Open { ticker, closes_at } => {
            let group = ticker.rsplit_once('-').map_or(ticker.as_str(), |(group, _)| group);
            let mut market = Market::new(ticker, group, at, *closes_at);
            market.latest_expiration_us = closes_at.saturating_add(HOUR);
            exchange.add_market(market);
        }
        Event::Show(trade) => exchange.add(trade.as_ref().clone()),
        Event::Settle(ticker) => {
            if exchange.market(ticker).is_some() {
                exchange.settle_market(ticker, "yes", 10_000);
            }
        }
        Event::Remove(ticker) => exchange.remove_market(ticker),
    }
}
