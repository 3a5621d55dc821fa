//! The methods of the exchange about markets, and about faults by path.

use crate::book::Book;
use crate::exchange::Exchange;
use crate::fault::Fault;
use crate::market::{Market, Status};

impl Exchange {
    /// Adds a series, see [`World::add_series`](crate::World::add_series).
    pub fn add_series(&self, ticker: &str, title: &str) {
        self.change(|world| world.add_series(ticker, title));
    }

    /// Adds an event, see [`World::add_group`](crate::World::add_group).
    pub fn add_group(&self, event_ticker: &str, series_ticker: &str, title: &str) {
        self.change(|world| world.add_group(event_ticker, series_ticker, title));
    }

    /// Adds a market, see [`World::add_market`](crate::World::add_market).
    pub fn add_market(&self, market: Market) {
        self.change(|world| world.add_market(market));
    }

    /// A market, live or archived.
    #[must_use]
    pub fn market(&self, ticker: &str) -> Option<Market> {
        self.change(|world| world.market(ticker))
    }

    /// Every market, live and archived, newest first.
    #[must_use]
    pub fn markets(&self) -> Vec<Market> {
        self.change(|world| world.markets())
    }

    /// Changes a market, see [`World::change_market`](crate::World::change_market).
    ///
    /// # Panics
    ///
    /// If there is no such market, or if its ticker is changed.
    pub fn change_market(&self, ticker: &str, change: impl FnOnce(&mut Market)) {
        self.change(|world| world.change_market(ticker, change));
    }

    /// Settles a market, see [`World::settle_market`](crate::World::settle_market).
    ///
    /// # Panics
    ///
    /// If there is no such market.
    pub fn settle_market(&self, ticker: &str, result: &str, value_e4: i64) {
        self.change(|world| world.settle_market(ticker, result, value_e4));
    }

    /// Removes a market, see [`World::remove_market`](crate::World::remove_market).
    pub fn remove_market(&self, ticker: &str) {
        self.change(|world| world.remove_market(ticker));
    }

    /// Makes the lists leave a market out, see [`World::leave_out`](crate::World::leave_out).
    pub fn leave_out(&self, ticker: &str, is_left_out: bool) {
        self.change(|world| world.leave_out(ticker, is_left_out));
    }

    /// Replaces a market's order book.
    pub fn set_book(&self, ticker: &str, book: Book) {
        self.change(|world| world.set_book(ticker, book));
    }

    /// The status of a market at the exchange's time.
    #[must_use]
    pub fn status_of(&self, ticker: &str) -> Option<Status> {
        self.change(|world| world.status_of(ticker))
    }

    /// Counts volume that is on no tape, see
    /// [`World::add_phantom_volume`](crate::World::add_phantom_volume).
    pub fn add_phantom_volume(&self, ticker: &str, at_us: i64, count_e2: u64) {
        self.change(|world| world.add_phantom_volume(ticker, at_us, count_e2));
    }

    /// The volume of a market, see [`World::volume_e2`](crate::World::volume_e2).
    #[must_use]
    pub fn volume_e2(&self, ticker: &str) -> u64 {
        self.change(|world| world.volume_e2(ticker))
    }

    /// Faults for the next requests of matching paths, one each, after those already scripted for the same pattern. A
    /// pattern is a path below the base, such as `/markets`, or the beginning of paths followed by `*`, such as
    /// `/markets/*`. The query does not matter, unless the pattern ends with a parameter that a request must have,
    /// such as `/markets?limit=5`.
    ///
    /// The variants of [`Fault`] about the rows and cursors of trades, and `Redirect` and `CloseAfter`, count as
    /// [`Fault::None`]. A request for trades takes such a fault only if it has none of [`Exchange::script`] and
    /// [`Exchange::random_faults`].
    pub fn script_for(&self, path_pattern: &str, faults: impl IntoIterator<Item = Fault>) {
        self.with_path_faults(|plan| plan.script(path_pattern, faults));
    }

    /// Gives this fault to every request of matching paths that has no scripted one, until the same pattern gets
    /// `None`. Patterns and faults are those of [`Exchange::script_for`].
    pub fn fail_always(&self, path_pattern: &str, fault: Option<Fault>) {
        self.with_path_faults(|plan| plan.always(path_pattern, fault));
    }
}
