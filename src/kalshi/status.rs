//! `GET /exchange/status`.

use std::time::Duration;

use super::client::{Client, Get};
use super::decode;
use crate::clock::Clock;
use crate::failure::Failure;

/// The largest body: a real one has a few hundred bytes, and one object for each part of the exchange.
const BODY_BYTES_MAX: u64 = 256 * 1024;

impl Client {
    /// Asks whether trading is possible now. During maintenance the answer comes with the status 500, 503 or 504 and
    /// the same body.
    pub fn is_trading(&self, left: Duration, clock: &dyn Clock) -> Result<bool, Failure> {
        let question = Get {
            path: "/exchange/status".into(),
            query: Vec::new(),
            about: "whether it trades",
            body_bytes_max: BODY_BYTES_MAX,
            answered_also_with: &[500, 503, 504],
        };
        self.get(&question, left, clock, |body, _| decode::is_trading(body))
    }
}
