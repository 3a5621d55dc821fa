//! What every store promises about what the passes remember of the exchange.
//! `tests/it/exchange_records.rs` holds each store to it.

use crate::domain::exchange_record::{ComeBack, ExchangeRecord};
use crate::domain::time::Timestamp;
use crate::failure::Failure;

/// Whose record it is: the shards of a selection and the hosts that serve an exchange each have one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExchangeKey {
    /// The shard, as `I/N`.
    pub shard: String,
    /// The authority of the base URL.
    pub host: String,
}

/// The part of a store that remembers the exchange.
pub trait Exchanges {
    /// The record, or `None` when nothing was ever noted. Reads only.
    fn exchange_record(&mut self, key: &ExchangeKey) -> Result<Option<ExchangeRecord>, Failure>;

    /// Notes everything but when to come back, which stays as it is.
    fn save_exchange_record(
        &mut self,
        key: &ExchangeKey,
        record: &ExchangeRecord,
        now: Timestamp,
    ) -> Result<(), Failure>;

    /// Notes when to come back; everything else stays as it is.
    fn save_come_back(
        &mut self,
        key: &ExchangeKey,
        come_back: ComeBack,
        now: Timestamp,
    ) -> Result<(), Failure>;
}
