//! `GET /markets/trades`.

use std::time::Duration;

use super::client::{Client, Question};
use super::decode;
use crate::clock::Clock;
use crate::domain::page::{Page, PageRequest, ROWS_PER_PAGE};
use crate::failure::Failure;

/// A page of 1,000 trades is about 231 KB; this is room for much longer events.
const BODY_BYTES_MAX: u64 = 8 * 1024 * 1024;

impl Client {
    /// Asks for one page of trades of a market, or of the tape.
    pub fn trades(
        &self,
        request: &PageRequest,
        left: Duration,
        clock: &dyn Clock,
    ) -> Result<Page, Failure> {
        let mut query = vec![("limit", ROWS_PER_PAGE.to_string())];
        if !request.market.is_tape() {
            query.push(("ticker", request.market.to_string()));
        }
        let bounds = [("min_ts", request.min_ts), ("max_ts", request.max_ts)];
        query.extend(
            bounds.into_iter().filter_map(|(name, value)| Some((name, value?.to_string()))),
        );
        query.extend(request.cursor.clone().map(|cursor| ("cursor", cursor)));
        let about = if request.market.is_tape() { "the tape" } else { request.market.as_str() };
        let question = Question {
            path: self.trades_path().into(),
            query,
            about,
            body_bytes_max: BODY_BYTES_MAX,
        };
        self.get(&question, left, clock, |body, answered_at| {
            decode::page(body, &request.market, answered_at, clock.now())
        })
    }
}
