//! The handle for tests: the state behind one lock. The router decides each answer.

use std::io;
use std::net::{TcpListener, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::asked::Asked;
use crate::fault::Fault;
use crate::http::{self, Answer, Server};
use crate::path_faults::PathFaults;
use crate::router;
use crate::rules::Rules;
use crate::state::{State, is_world_held, with_world_held};
use crate::trade::Trade;
use crate::world::World;

/// A simulated exchange. Clones share one world; any number of servers may serve it.
#[derive(Clone)]
pub struct Exchange {
    state: Arc<Mutex<State>>,
}

impl Exchange {
    /// An exchange without trades and markets whose clock is the machine's.
    #[must_use]
    pub fn new(rules: Rules) -> Exchange {
        Exchange { state: Arc::new(Mutex::new(State::new(rules))) }
    }

    /// Serves on a free port of 127.0.0.1 until the server is dropped.
    ///
    /// # Errors
    ///
    /// If there is no free port or thread.
    pub fn serve(&self) -> io::Result<Server> {
        self.serve_on("127.0.0.1:0")
    }

    /// Serves on this address until the server is dropped.
    ///
    /// # Errors
    ///
    /// If the server cannot listen on the address.
    pub fn serve_on(&self, address: impl ToSocketAddrs) -> io::Result<Server> {
        let listener = TcpListener::bind(address)?;
        let exchange = self.clone();
        let handler = move |request: &http::Request| exchange.answer(request);
        http::serve(listener, Box::new(handler))
    }

    /// Adds a trade, see [`World::add`].
    ///
    /// # Panics
    ///
    /// If the trade cannot be written in its shape.
    pub fn add(&self, trade: Trade) {
        self.lock().world.add(trade);
    }

    /// Adds many trades, see [`World::add`].
    ///
    /// # Panics
    ///
    /// If one of them cannot be written in its shape.
    pub fn add_all(&self, trades: impl IntoIterator<Item = Trade>) {
        self.lock().world.add_all(trades);
    }

    /// Adds any bytes as an event, see [`World::add_event`].
    pub fn add_event(
        &self,
        ticker: &str,
        created_us: i64,
        trade_id: &str,
        json: impl Into<Vec<u8>>,
    ) {
        self.lock().world.add_event(ticker, created_us, trade_id, json);
    }

    /// Adds recorded trades, see [`World::load_json_lines`].
    ///
    /// # Errors
    ///
    /// Names the first line that is not a trade; then nothing is added.
    pub fn load_json_lines(&self, text: &str) -> Result<usize, String> {
        self.lock().world.load_json_lines(text)
    }

    /// The trades of a market that were added as [`Trade`], newest first; tests compare with them.
    #[must_use]
    pub fn trades(&self, ticker: &str) -> Vec<Trade> {
        self.lock().world.trades(ticker)
    }

    /// The trades of all markets that were added as [`Trade`], newest first.
    #[must_use]
    pub fn all_trades(&self) -> Vec<Trade> {
        self.lock().world.all_trades()
    }

    /// The rows of a market as they are served, see [`World::rows`].
    #[must_use]
    pub fn rows(&self, ticker: &str) -> Vec<String> {
        self.lock().world.rows(ticker)
    }

    /// Every market with events, sorted.
    #[must_use]
    pub fn tickers(&self) -> Vec<String> {
        self.lock().world.tickers()
    }

    /// The exchange's time, microseconds since 1970.
    #[must_use]
    pub fn now_us(&self) -> i64 {
        self.lock().world.now_us()
    }

    /// Freezes the exchange's clock at this time.
    pub fn set_now(&self, us: i64) {
        self.lock().world.set_now(us);
    }

    /// Lets the exchange's clock run, this far ahead of the machine's (negative: behind).
    pub fn set_offset_us(&self, offset_us: i64) {
        self.lock().world.set_offset_us(offset_us);
    }

    /// Sets the clock that measures the rate of requests; without a call it is the machine's monotonic clock. It is
    /// for a client whose own clock is not the machine's.
    pub fn set_uptime(&self, uptime: impl Fn() -> Duration + Send + 'static) {
        self.lock().uptime = Box::new(uptime);
    }

    /// Moves the clock: a frozen one to a later time, a running one further ahead.
    pub fn advance(&self, us: i64) {
        self.lock().world.advance(us);
    }

    /// Makes several changes to the world at once, so that no request sees a part of them. The function must use the
    /// world that it is given, not the exchange.
    pub fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let mut state = self.lock();
        with_world_held(|| change(&mut state.world))
    }

    /// Faults for the next trades requests, one each, after those already scripted.
    pub fn script(&self, faults: impl IntoIterator<Item = Fault>) {
        self.lock().faults.script(faults);
    }

    /// Gives every later trades request without a scripted fault one of these kinds with this probability (1000:
    /// always). The seed and the number of the request decide which one. 0, or no kinds, ends it.
    pub fn random_faults(&self, seed: u64, per_mille: u32, kinds: &[Fault]) {
        self.lock().faults.random(seed, per_mille, kinds);
    }

    /// Removes every fault: scripted and random ones, and those by path.
    pub fn clear_faults(&self) {
        let mut state = self.lock();
        state.faults.clear();
        state.path_faults.clear();
    }

    pub(crate) fn with_path_faults(&self, change: impl FnOnce(&mut PathFaults)) {
        change(&mut self.lock().path_faults);
    }

    /// Calls the function before each answer to a trades request, faulty ones included, with the number of the
    /// request; the first has number 1. It replaces the function set before.
    ///
    /// The function must use the world that it is given: a call of the exchange from inside panics, because it would
    /// wait for itself.
    pub fn before_each_page(&self, hook: impl FnMut(&mut World, u64) + Send + 'static) {
        self.lock().page_hook = Some(Box::new(hook));
    }

    /// Calls the function with the record of every request, before it is answered. It replaces the
    /// function set before, and must not call the exchange.
    pub fn on_request(&self, observer: impl FnMut(&Asked) + Send + 'static) {
        self.lock().observer = Some(Box::new(observer));
    }

    /// The record of all requests, oldest first (the last 100,000). A request is on record before its answer is sent.
    #[must_use]
    pub fn requests(&self) -> Vec<Asked> {
        self.lock().log.all()
    }

    /// The number of trades requests so far.
    #[must_use]
    pub fn trades_request_count(&self) -> u64 {
        self.lock().trades_request_count
    }

    /// Empties the record. The numbers of trades requests continue.
    pub fn forget_requests(&self) {
        self.lock().log.clear();
    }

    /// Answers a GET without a socket. `target` is the path with the query as in a request line, `headers` have names
    /// in lower case. Nothing is compressed, and a fault in the delivery is returned instead of carried out.
    ///
    /// # Errors
    ///
    /// The status of the answer to an invalid target.
    pub fn ask(&self, target: &str, headers: Vec<(String, String)>) -> Result<Answer, u16> {
        let request = http::Request::get(target, headers)?;
        let mut state = self.lock();
        let (reply, asked) = router::answer(&mut state, &request);
        let fault = asked.fault;
        state.record(asked);
        drop(state);
        Ok(reply.answer(fault))
    }

    fn answer(&self, request: &http::Request) -> http::Reply {
        let mut state = self.lock();
        let (reply, asked) = router::answer(&mut state, request);
        let is_compressed = state.world.rules.gzip && request.accepts_gzip();
        state.record(asked);
        drop(state);
        if is_compressed { reply.compressed() } else { reply }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        assert!(
            !is_world_held(),
            "the exchange was called by a function that holds its world: use the world instead"
        );
        // The server reports a panic in a test's function; the world itself stays consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
