//! The test stage of the driver: an exchange, a store and a clock, each a value that follows a script.

use crate::domain::scope::Scope;
use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::time::Duration;

use super::{Driver, Effect, Manners, Moment, Outcome, Queue, Terms, Writing};
use crate::domain::batch::{Commit, Committed, Receipt};
use crate::domain::checkpoint::Checkpoint;
use crate::domain::job::{Background, Job};
use crate::domain::page::{Page, PageRequest, Rules};
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::domain::trade::{Price, Quantity, RawEvent, Side, Trade};
use crate::failure::{Failure, Kind};
use crate::pace::Pace;
use crate::retry::{Jitter, Policy};

/// The start of a pass, by both clocks.
pub(super) const NOW: Timestamp = Timestamp::from_seconds(1_000_000);

pub(super) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(super) fn ticker(name: &str) -> Ticker {
    Ticker::new(name).unwrap()
}

/// The fault of one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// This status, with a request to wait for this time.
    Status(u16, Option<Duration>),
    /// No answer.
    Silence,
    /// Every cursor is refused, and a question without a cursor is answered.
    CursorRefused,
    /// Rows of other markets: the filter was ignored.
    Foreign,
}

/// A world in which each request and commit takes the set time.
#[derive(Debug)]
pub(super) struct Stage {
    /// The trades of the exchange, newest first.
    pub(super) trades: Vec<Trade>,
    pub(super) rows_per_page: usize,
    /// The faults of the next answers, in order; after them no answer has a fault.
    pub(super) faults: VecDeque<Fault>,
    /// The fault of every answer about the tape.
    pub(super) tape: Fault,
    pub(super) elapsed: Duration,
    pub(super) budget: Duration,
    pub(super) signal_at: Option<Duration>,
    pub(super) answer_takes: Duration,
    pub(super) commit_takes: Duration,
    /// The number of commits that the store takes.
    pub(super) commits_max: usize,
    /// The number of rows of each commit, and its start.
    pub(super) commits: Vec<(usize, Duration)>,
    pub(super) stored: BTreeSet<String>,
    pub(super) checkpoints: BTreeMap<Scope, Checkpoint>,
    /// The requests, and their times.
    pub(super) asked: Vec<(PageRequest, Duration)>,
    pub(super) said: Vec<String>,
    pub(super) manners: Manners,
    pub(super) workers: usize,
    pub(super) rules: Rules,
}

impl Stage {
    /// A world of these markets, each with this many trades, one a second.
    pub(super) fn new(markets: &[&str], trades: usize) -> Stage {
        let trade = |market: &str, n: usize| Trade {
            trade_id: format!("{market}-{n:06}").as_str().into(),
            market: ticker(market),
            side: Side::Yes,
            price: Price::from_e4_cents(1).unwrap(),
            quantity: Quantity::from_e2(100).unwrap(),
            traded_at: NOW.before(Duration::from_secs(60 + u64::try_from(n).unwrap())),
            is_block_trade: None,
        };
        let made = markets.iter().flat_map(|market| (0..trades).map(move |n| trade(market, n)));
        let mut made: Vec<Trade> = made.collect();
        made.sort_by_key(|trade| std::cmp::Reverse((trade.traded_at, trade.trade_id.clone())));
        Stage {
            trades: made,
            rows_per_page: 4,
            faults: VecDeque::new(),
            tape: Fault::None,
            elapsed: ms(0),
            budget: ms(50_000),
            signal_at: None,
            answer_takes: ms(10),
            commit_takes: ms(5),
            commits_max: usize::MAX,
            commits: Vec::new(),
            stored: BTreeSet::new(),
            checkpoints: BTreeMap::new(),
            asked: Vec::new(),
            said: Vec::new(),
            manners: Manners::new(Pace::new(1_000.0)),
            workers: 3,
            rules: Rules { overlap: Duration::from_secs(120), pages_max: 5_000, ..Rules::EXACT },
        }
    }

    /// The checkpoint of a market that was never read.
    pub(super) fn fresh(&mut self, market: &str) -> Checkpoint {
        let row = Checkpoint::first(ticker(market), NOW);
        self.checkpoints.insert(row.scope.clone(), row.clone());
        row
    }

    /// The checkpoint of a market that is complete up to `seconds` seconds ago.
    pub(super) fn level(&mut self, market: &str, seconds: u64) -> Checkpoint {
        let until = Some(NOW.before(Duration::from_secs(seconds)));
        let row = Checkpoint { complete_until: until, last_trade_at: until, ..self.fresh(market) };
        self.checkpoints.insert(row.scope.clone(), row.clone());
        row
    }

    pub(super) fn moment(&self) -> Moment {
        let is_stopped = self.signal_at.is_some_and(|at| at <= self.elapsed);
        let left = self.budget.saturating_sub(self.elapsed);
        Moment {
            elapsed: self.elapsed,
            now: NOW.after(self.elapsed),
            left: if is_stopped { Duration::ZERO } else { left },
            is_stopped,
        }
    }

    /// Runs a pass: carries out the effects of the driver until it has no more.
    pub(super) fn pass(&mut self, jobs: Vec<Job>, seed: u64) -> Outcome {
        let policy = Policy::default();
        let terms = Terms { rules: self.rules, background: Background::default(), policy };
        let queue = Queue::new(jobs);
        let committed = Committed::new(self.checkpoints.values().cloned());
        let writing = Writing::new(1, committed, queue.market_count());
        let mut driver = Driver::new(&terms, queue, writing, self.workers, Jitter::seeded(seed));
        for _ in 0..100_000 {
            let moment = self.moment();
            match driver.next(&mut self.manners, moment) {
                Effect::Ask { worker, request, left } => {
                    assert_eq!(self.manners.stopped(moment), None, "asked after the end");
                    assert!(left <= moment.left && !left.is_zero());
                    let answer = self.answer(&request);
                    driver.heard(worker, answer);
                }
                Effect::Wait(wait) => {
                    assert!(!moment.is_over(), "waits after the end");
                    assert!(!wait.is_zero() && wait < ms(600_000), "waits for {wait:?}");
                    self.elapsed += wait;
                }
                Effect::Commit(commit) => {
                    let done = self.commit(&commit);
                    driver.committed(*commit, done);
                }
                Effect::Say(notice) => self.said.push(notice.to_string()),
                Effect::Show => {}
                Effect::End => {
                    let moment = self.moment();
                    return driver.finish(&mut self.manners, moment);
                }
            }
        }
        panic!("a pass without end");
    }

    fn answer(&mut self, request: &PageRequest) -> Result<Page, Failure> {
        self.asked.push((request.clone(), self.elapsed));
        self.elapsed += self.answer_takes;
        let fault = match &self.tape {
            Fault::None => self.faults.pop_front().unwrap_or(Fault::None),
            tape if request.scope.is_tape() => tape.clone(),
            _ => Fault::None,
        };
        let failed = |kind, message: &str| Err(Failure::new(kind, message));
        match fault {
            Fault::Status(status, wait) => {
                let kind = match status {
                    403 => Kind::ExchangeForbids,
                    404 => Kind::ExchangeRefused,
                    _ => Kind::ExchangeUnavailable,
                };
                let failure = Failure::new(kind, format!("it said {status}"));
                Err(failure.with_status(status).with_retry_after(wait))
            }
            Fault::Silence => failed(Kind::ExchangeUnavailable, "it said nothing"),
            Fault::CursorRefused if request.cursor.is_some() => {
                let failure = Failure::new(Kind::ExchangeRefused, "it knows no such cursor");
                Err(failure.with_status(400))
            }
            Fault::Foreign => Ok(Page { foreign: 1, ..self.page(request) }),
            Fault::None | Fault::CursorRefused => Ok(self.page(request)),
        }
    }

    fn page(&self, request: &PageRequest) -> Page {
        let key = |trade: &Trade| format!("{:020}/{}", trade.traded_at.micros(), trade.trade_id);
        let is_asked = |trade: &&Trade| {
            let second = trade.traded_at.second();
            request.scope.holds(&trade.market)
                && request.min_ts.is_none_or(|min| min <= second)
                && request.max_ts.is_none_or(|max| second <= max)
                && request.cursor.as_ref().is_none_or(|cursor| key(trade) < *cursor)
        };
        let mut rows = self.trades.iter().filter(is_asked);
        let shown: Vec<&Trade> = rows.by_ref().take(self.rows_per_page).collect();
        let cursor = shown.last().filter(|_| rows.next().is_some()).map(|last| key(last));
        let now = NOW.after(self.elapsed);
        let event = |trade: &&Trade| RawEvent {
            trade: (*trade).clone(),
            payload: trade.trade_id.to_string().as_str().into(),
        };
        Page {
            events: shown.iter().map(event).collect(),
            rejected: Vec::new(),
            foreign: 0,
            cursor,
            exchange_now: now.floor(),
            our_now: now,
        }
    }

    fn commit(&mut self, commit: &Commit) -> Result<Receipt, Failure> {
        let begun_at = self.elapsed;
        self.elapsed += self.commit_takes;
        if self.commits.len() >= self.commits_max {
            return Err(Failure::new(Kind::StoreInterrupted, "it is gone"));
        }
        self.commits.push((commit.rows().len(), begun_at));
        let mut receipt = Receipt::default();
        for (at, row) in commit.rows().iter().enumerate() {
            if self.stored.insert(row.event.trade.trade_id.to_string()) {
                receipt.inserted.push(at);
            }
        }
        for update in commit.checkpoints() {
            let next = update.next();
            let held = &self.checkpoints[&next.scope];
            assert_eq!(held.version, update.expected_version(), "overtaken by itself");
            self.checkpoints.insert(next.scope.clone(), next.clone());
        }
        Ok(receipt)
    }

    /// Whether every trade is stored and the checkpoints claim them.
    pub(super) fn is_whole(&self) -> bool {
        let ids: HashSet<&str> = self.trades.iter().map(|trade| &*trade.trade_id).collect();
        let is_claimed = |market: &Ticker| {
            let newest = self.trades.iter().find(|trade| trade.market == *market);
            let row = &self.checkpoints[&Scope::Market(market.clone())];
            row.walk.is_none()
                && row.complete_until.map(Timestamp::second)
                    == newest.map(|trade| trade.traded_at.second())
        };
        let markets: HashSet<&Ticker> = self.trades.iter().map(|trade| &trade.market).collect();
        ids.len() == self.stored.len() && markets.into_iter().all(is_claimed)
    }
}
