//! The changes of a test to markets, events, series and order books.

use crate::book::Book;
use crate::catalogue::{Group, Listed, Series};
use crate::market::{Market, Status};
use crate::timestamp::SECOND_US;
use crate::world::World;

impl World {
    /// Adds a series, or changes its title.
    pub fn add_series(&mut self, ticker: &str, title: &str) {
        let now_us = self.now_us();
        self.catalogue.add_series(ticker, title, now_us);
    }

    /// Adds an event (`/events`), or changes its title and moves it to this series, which is made up if it is not
    /// known.
    pub fn add_group(&mut self, event_ticker: &str, series_ticker: &str, title: &str) {
        let now_us = self.now_us();
        self.catalogue.add_group(event_ticker, series_ticker, title, now_us);
    }

    /// Adds a market, or replaces the one of its name unchanged, without a new `updated_us`. Its event is made up if
    /// it is not known, and so is the event's series: the text of the event ticker before the first hyphen.
    pub fn add_market(&mut self, market: Market) {
        let now_us = self.now_us();
        self.catalogue.insert(market, false, now_us);
    }

    /// A market, live or archived, also one that is known only from its trades.
    #[must_use]
    pub fn market(&self, ticker: &str) -> Option<Market> {
        self.listed(ticker).map(|listed| listed.market.clone())
    }

    /// Every market, live and archived, newest first.
    #[must_use]
    pub fn markets(&self) -> Vec<Market> {
        let all = self.catalogue.markets(None, None).into_iter().flatten().rev();
        let shown = all.map(|(_, listed)| listed).filter(|listed| self.shows(listed.is_implicit));
        shown.map(|listed| listed.market.clone()).collect()
    }

    /// Changes a market, which counts as updated now.
    ///
    /// # Panics
    ///
    /// If there is no such market, or if its ticker is changed.
    pub fn change_market(&mut self, ticker: &str, change: impl FnOnce(&mut Market)) {
        let mut market = self.market(ticker).unwrap_or_else(|| panic!("no market {ticker}"));
        change(&mut market);
        assert_eq!(market.ticker, ticker, "a market keeps its ticker");
        market.updated_us = self.now_us();
        self.add_market(market);
    }

    /// Settles a market now, with this result and this value of a yes contract.
    ///
    /// # Panics
    ///
    /// If there is no such market.
    pub fn settle_market(&mut self, ticker: &str, result: &str, value_e4: i64) {
        let now_us = self.now_us();
        self.change_market(ticker, |market| {
            market.status = Some(Status::Finalized);
            result.clone_into(&mut market.result);
            market.settlement_value_e4 = Some(value_e4);
            market.settled_us = Some(now_us);
        });
    }

    /// Removes a market, live or archived. Its trades stay and do not bring it back; adding it again does.
    pub fn remove_market(&mut self, ticker: &str) {
        self.catalogue.remove(ticker);
    }

    /// Makes the lists of markets and events leave a market out, or show it again. A request for this market alone
    /// always finds it.
    pub fn leave_out(&mut self, ticker: &str, is_left_out: bool) {
        if is_left_out {
            self.unlisted.insert(ticker.to_owned());
        } else {
            self.unlisted.remove(ticker);
        }
    }

    /// Replaces a market's order book.
    pub fn set_book(&mut self, ticker: &str, book: Book) {
        self.catalogue.set_book(ticker, book);
    }

    /// The status of a market at the exchange's time.
    #[must_use]
    pub fn status_of(&self, ticker: &str) -> Option<Status> {
        self.listed(ticker).map(|listed| listed.market.status_at(self.now_us()))
    }

    /// Adds volume of a market that no trade on any tape explains: in its `volume_fp`, in [`World::volume_e2`] and in
    /// its candles. Like a trade, it makes the market known.
    pub fn add_phantom_volume(&mut self, ticker: &str, at_us: i64, count_e2: u64) {
        let now_us = self.now_us();
        self.catalogue.note_trade(ticker, at_us, now_us);
        self.phantoms.add(ticker, at_us, count_e2);
    }

    /// The volume of a market in hundredths of a contract: the sum of its trades on the tape, plus phantom volume.
    #[must_use]
    pub fn volume_e2(&self, ticker: &str) -> u64 {
        self.tape.volume_e2(ticker) + self.phantoms.since_e2(ticker, i64::MIN)
    }

    /// The volume of a market from this time on, in hundredths of a contract.
    pub(crate) fn volume_since_e2(&self, ticker: &str, from_us: i64) -> u64 {
        self.tape.volume_since_e2(ticker, from_us) + self.phantoms.since_e2(ticker, from_us)
    }

    pub(crate) fn listed(&self, ticker: &str) -> Option<&Listed> {
        let listed = self.catalogue.market(ticker)?;
        self.shows(listed.is_implicit).then_some(listed)
    }

    pub(crate) fn group(&self, event_ticker: &str) -> Option<&Group> {
        self.catalogue.group(event_ticker).filter(|group| self.shows(group.is_implicit))
    }

    pub(crate) fn series(&self) -> impl Iterator<Item = (&String, &Series)> {
        self.catalogue.series().iter().filter(|(_, series)| self.shows(series.is_implicit))
    }

    /// Whether the rules show an object that is known only from the tape, or one that is not.
    pub(crate) fn shows(&self, is_implicit: bool) -> bool {
        !is_implicit || self.rules.implicit_markets
    }

    /// Whether a market has left the live tier.
    pub(crate) fn is_archived(&self, market: &Market) -> bool {
        let cutoff_us = self.rules.markets_cutoff_s.saturating_mul(SECOND_US);
        market.settled_us.is_some_and(|settled_us| settled_us < cutoff_us)
    }
}
