//! The exchange as a client meets it: its servers, of which one may be behind or ahead, the caches before them, and
//! the troubles on the way.

use std::collections::BTreeMap;

use kalshi_simulator::{
    Answer, Exchange, ExchangeStatus, Fault, Market, MarketVolume, Rules, Status, Trade,
};

use crate::counts::Counts;
use crate::cut;
use crate::history::{Amendment, BEGINS_AT, HOUR, Trouble};
use crate::random::Random;

/// An event of the world.
#[derive(Clone, Debug)]
pub enum Event {
    /// A market opens.
    Open {
        /// The name of the market.
        ticker: String,
        /// Its closing time.
        closes_at: i64,
    },
    /// A trade becomes visible.
    Show(Box<Trade>),
    /// A market is settled.
    Settle(String),
    /// A market is removed.
    Remove(String),
    /// The description of a market changes.
    Amend(String, Amendment),
    /// An unreadable row appears.
    Odd {
        /// The market.
        ticker: String,
        /// Its time on the tape.
        created_us: i64,
        /// The id that orders it among rows of that time.
        id: String,
        /// The bytes that are served.
        json: Vec<u8>,
    },
    /// The archive cutoff, in microseconds since 1970, moves here.
    Cutoff(i64),
}

impl Event {
    /// The name of the event in counts, if it is counted.
    fn name(&self) -> Option<&'static str> {
        match self {
            Event::Open { .. } | Event::Show(_) => None,
            Event::Settle(_) => Some("market: settled"),
            Event::Remove(_) => Some("market: vanished"),
            Event::Amend(_, Amendment::Close(_)) => Some("market: closes at another time"),
            Event::Amend(..) => Some("market: described anew"),
            Event::Odd { .. } => Some("odd rows"),
            Event::Cutoff(_) => Some("archive: moved"),
        }
    }
}

/// The trouble of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreTrouble {
    /// The connection breaks before a call.
    Before,
    /// The connection breaks within a call.
    Within,
    /// The process is killed within a call.
    Death,
    /// The connection breaks after a call.
    After,
}

/// A trouble that lasts.
#[derive(Clone, Debug)]
struct Active {
    id: u64,
    trouble: Trouble,
    per_mille: u64,
    begun_at: i64,
}

/// The answer that a client gets.
#[derive(Debug)]
pub struct Got {
    /// The answer.
    pub answer: Answer,
    /// The age that a cache reports, in seconds.
    pub age: Option<i64>,
}

/// The exchange and all parts before it.
pub struct Servers {
    rules: Rules,
    current: Exchange,
    /// The server that is behind, while there is one.
    behind: Option<(Exchange, usize)>,
    feed: Vec<(i64, Event)>,
    fed: usize,
    active: Vec<Active>,
    cache: BTreeMap<String, (i64, Answer)>,
    asked: u64,
    seed: u64,
    /// The counts of the world's events.
    pub happened: Counts,
}

impl Servers {
    /// Makes an exchange with these coming events, in the order of time.
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
            happened: Counts::default(),
        }
    }

    /// Applies all events up to now.
    pub fn feed(&mut self, now: i64) {
        while let Some((at, event)) = self.feed.get(self.fed).filter(|(at, _)| *at <= now) {
            apply(&self.current, *at, event);
            if let Some(name) = event.name() {
                self.happened.one(name);
            }
            self.fed += 1;
        }
    }

    /// Begins a trouble.
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
            Trouble::Paused { is_down } => {
                self.happened.one("pauses of trading");
                let status = ExchangeStatus {
                    exchange_active: !is_down,
                    trading_active: false,
                    unavailable: *is_down,
                    ..ExchangeStatus::default()
                };
                self.current.change(|world| world.rules.exchange_status = status);
            }
            Trouble::NoVolume(is_null) => {
                let volume = if *is_null { MarketVolume::Null } else { MarketVolume::Zero };
                self.current.change(|world| world.rules.market_volume = volume);
            }
            _ => {}
        }
        self.active.push(Active { id, trouble, per_mille, begun_at: now });
    }

    /// Ends a trouble.
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
                Trouble::Paused { .. } => {
                    let status = ExchangeStatus::default();
                    self.current.change(|world| world.rules.exchange_status = status);
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

    /// Ends all troubles.
    pub fn calm_all(&mut self) {
        let all: Vec<u64> = self.active.iter().map(|active| active.id).collect();
        for id in all {
            self.calm(id);
        }
        self.cache.clear();
    }

    /// The trouble of the next database call, if any.
    pub fn store_trouble(&mut self) -> Option<StoreTrouble> {
        let mut random = Random::of(self.seed, &[0x57, self.asked]);
        self.asked += 1;
        self.active.iter().find_map(|active| {
            let trouble = match active.trouble {
                Trouble::StoreBreaks => StoreTrouble::Before,
                Trouble::StoreTears => StoreTrouble::Within,
                Trouble::DiesInside => StoreTrouble::Death,
                Trouble::AckLost => StoreTrouble::After,
                _ => return None,
            };
            random.chance(active.per_mille).then_some(trouble)
        })
    }

    /// The troubles of the answer to a request of this path.
    fn troubles(&self, path: &str, now: i64, counts: &mut Counts) -> Wrong {
        let mut random = Random::of(self.seed, &[0xa5, self.asked]);
        let mut wrong =
            Wrong { date: now, as_of: None, fault: Fault::None, cached: None, rows_max: None };
        for active in &self.active {
            if !random.chance(active.per_mille) {
                continue;
            }
            match &active.trouble {
                Trouble::Fault(pattern, kind) if is_of(pattern, path) => wrong.fault = *kind,
                Trouble::Ahead(us) => {
                    wrong.date = wrong.date.saturating_add(*us);
                    counts.one("answer: dated by another clock");
                }
                Trouble::Lagging(us) => wrong.as_of = Some(now - us),
                Trouble::Frozen => wrong.as_of = Some(active.begun_at),
                Trouble::Cached { age_max, is_told } => wrong.cached = Some((*age_max, *is_told)),
                Trouble::Cut(rows) => wrong.rows_max = Some(*rows),
                Trouble::Paused { is_down: true } if path != "/exchange/status" => {
                    wrong.fault = Fault::Status(503);
                    counts.one("answer: down for maintenance");
                }
                _ => {}
            }
        }
        wrong
    }

    /// The server that answers: the one that is behind, in its state of `as_of`, or the other one.
    fn server(&mut self, as_of: Option<i64>, counts: &mut Counts) -> &Exchange {
        let (Some(as_of), Some((behind, fed))) = (as_of, &mut self.behind) else {
            return &self.current;
        };
        while let Some((at, event)) = self.feed.get(*fed).filter(|(at, _)| *at <= as_of) {
            apply(behind, *at, event);
            *fed += 1;
        }
        counts.one("answer: by a server that is behind");
        behind
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
        let path = target.split('?').next().unwrap_or(target);
        let path = path.strip_prefix("/trade-api/v2").unwrap_or(path);
        let Wrong { date, as_of, fault, cached, rows_max } = self.troubles(path, now, counts);
        if let Some((age_max, is_told)) = cached
            && let Some((at, answer)) = self.cache.get(target)
            && now - at <= age_max
        {
            counts.one("answer: from a cache");
            let age = is_told.then_some((now - at) / 1_000_000);
            return Got { answer: answer.clone(), age };
        }
        let server = self.server(as_of, counts);
        server.set_now(date);
        if fault != Fault::None {
            if path.ends_with("/trades") {
                server.script([fault]);
            } else {
                server.script_for(path, [fault]);
            }
        }
        let cut = rows_max.and_then(|rows| cut::target(target, rows));
        let mut answer =
            server.ask(cut.as_deref().unwrap_or(target), headers).unwrap_or_else(nothing);
        let is_cut = cut.is_some() && cut::end(&mut answer);
        if is_cut {
            counts.one("answer: cut without a cursor");
        }
        if answer.fault != Fault::None {
            let name = format!("{:?}", answer.fault);
            let name = name.split([' ', '(']).next().unwrap_or_default();
            counts.one(&format!("fault: {name}"));
        }
        if cached.is_some() && !is_cut && answer.status == 200 && answer.fault == Fault::None {
            self.cache.insert(target.to_owned(), (now, answer.clone()));
        }
        Got { answer, age: None }
    }
}

/// The troubles of one answer.
struct Wrong {
    /// The present time by the server's clock.
    date: i64,
    /// The time of the state that it shows, if it is behind.
    as_of: Option<i64>,
    fault: Fault,
    /// The greatest age of a cached answer, and whether the cache reports the age.
    cached: Option<(i64, bool)>,
    /// The number of rows after which a list is cut.
    rows_max: Option<usize>,
}

/// An answer with only a status.
fn nothing(status: u16) -> Answer {
    Answer {
        status,
        headers: Vec::new(),
        body: Vec::new(),
        delivery: kalshi_simulator::Delivery::Whole,
        fault: Fault::None,
        row_count: 0,
    }
}

/// Whether a path matches the pattern.
fn is_of(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => path.starts_with(start),
        None => path == pattern,
    }
}

/// Applies an event to an exchange.
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
        Event::Amend(ticker, amendment) => {
            if exchange.market(ticker).is_some() {
                exchange.change_market(ticker, |market| amend(market, amendment));
            }
        }
        Event::Odd { ticker, created_us, id, json } => {
            exchange.add_event(ticker, *created_us, id, json.as_slice());
        }
        Event::Cutoff(before) => exchange.change(|world| {
            world.rules.cutoff_s = before.div_euclid(1_000_000);
            world.rules.markets_cutoff_s = world.rules.cutoff_s;
        }),
    }
}

fn amend(market: &mut Market, amendment: &Amendment) {
    match amendment {
        Amendment::Title(title) => market.title.clone_from(title),
        Amendment::Grid(grid) => (*grid).clone_into(&mut market.price_level_structure),
        Amendment::Close(at) => {
            market.close_us = BEGINS_AT + at;
            market.expected_expiration_us = Some(market.close_us);
            market.latest_expiration_us = market.close_us.saturating_add(HOUR);
        }
    }
}
