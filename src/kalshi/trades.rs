//! `GET /markets/trades`.

use super::venue::VENUE;
use std::time::Duration;

use super::client::{Client, Get};
use super::decode;
use crate::clock::Clock;
use crate::domain::page::{Page, PageRequest};
use crate::domain::scope::Scope;
use crate::domain::ticker::Ticker;
use crate::domain::tier::Tier;
use crate::domain::time::Timestamp;
use crate::failure::Failure;

/// The exchange's own default for a page.
const HEAD_ROWS: u32 = 100;
/// A page of 1,000 trades is about 231 KB; this is room for much longer events.
const BODY_BYTES_MAX: u64 = 8 * 1024 * 1024;

impl Client {
    /// Asks for the archive cutoff. Trades before it are in the archive, later ones are live. The cutoff moves on by
    /// days, so it must never be assumed. The second instant is the time of the answer, which may come from a cache.
    pub fn cutoff(
        &self,
        left: Duration,
        clock: &dyn Clock,
    ) -> Result<(Timestamp, Timestamp), Failure> {
        let question = Get {
            path: "/historical/cutoff".into(),
            query: Vec::new(),
            about: "the archive",
            body_bytes_max: BODY_BYTES_MAX,
            answered_also_with: &[],
        };
        self.get(&question, left, clock, |body, as_of| Ok((decode::cutoff(body)?, as_of)))
    }

    /// Asks for the newest trades of the whole exchange; the answer holds at most a hundred.
    pub fn head(&self, left: Duration, clock: &dyn Clock) -> Result<Page, Failure> {
        let question = Get {
            path: self.trades_path().into(),
            query: vec![("limit", HEAD_ROWS.to_string())],
            about: "the newest trades",
            body_bytes_max: BODY_BYTES_MAX,
            answered_also_with: &[],
        };
        self.get(&question, left, clock, |body, answered_at| {
            decode::page(body, &Scope::Tape, answered_at, clock.now())
        })
    }

    /// Asks for one page of trades of a market, or of the tape.
    pub fn trades(
        &self,
        request: &PageRequest,
        left: Duration,
        clock: &dyn Clock,
    ) -> Result<Page, Failure> {
        let mut query = vec![("limit", VENUE.rows_per_page.to_string())];
        query.extend(request.scope.market().map(|market| ("ticker", market.to_string())));
        let bounds = [("min_ts", request.min_ts), ("max_ts", request.max_ts)];
        query.extend(
            bounds.into_iter().filter_map(|(name, value)| Some((name, value?.to_string()))),
        );
        query.extend(request.cursor.clone().map(|cursor| ("cursor", cursor)));
        let about = request.scope.market().map_or("the tape", Ticker::as_str);
        let path = match request.tier {
            Tier::Live => self.trades_path(),
            Tier::Archive => "/historical/trades",
        };
        let question = Get {
            path: path.into(),
            query,
            about,
            body_bytes_max: BODY_BYTES_MAX,
            answered_also_with: &[],
        };
        self.get(&question, left, clock, |body, answered_at| {
            decode::page(body, &request.scope, answered_at, clock.now())
        })
    }
}
