//! The promises of every store about the memory of the exchange. `tests/it/exchange_records.rs` checks each store
//! against them.

use super::engine::{Engine, statement};
use super::rows::Row;
use super::value::values;
use crate::domain::account_limits::AccountRecord;
use crate::domain::exchange_record::{ComeBack, ExchangeRecord};
use crate::domain::time::Timestamp;
use crate::failure::Failure;

/// The key of a record: each shard of a selection has one for each host of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExchangeKey {
    /// The shard, as `I/N`.
    pub shard: String,
    /// The authority of the base URL.
    pub host: String,
}

/// The part of a store that remembers the exchange.
pub trait Exchanges {
    /// The record, or `None` when none was ever saved. Reads only.
    fn exchange_record(&mut self, key: &ExchangeKey) -> Result<Option<ExchangeRecord>, Failure>;

    /// Saves all of the record but the time to come back and the account, which stay unchanged.
    fn save_exchange_record(
        &mut self,
        key: &ExchangeKey,
        record: &ExchangeRecord,
        now: Timestamp,
    ) -> Result<(), Failure>;

    /// Saves the time to come back; all else stays unchanged.
    fn save_come_back(
        &mut self,
        key: &ExchangeKey,
        come_back: ComeBack,
        now: Timestamp,
    ) -> Result<(), Failure>;

    /// Saves the account; all else stays unchanged.
    fn save_account(
        &mut self,
        key: &ExchangeKey,
        account: &AccountRecord,
        now: Timestamp,
    ) -> Result<(), Failure>;
}

impl<E: Engine> Exchanges for E {
    fn exchange_record(&mut self, key: &ExchangeKey) -> Result<Option<ExchangeRecord>, Failure> {
        let what = "reading what is known of the exchange";
        let key = values![self.source(), &key.shard, &key.host];
        let found =
            self.read(what, statement!("exchange", "load_exchange_record"), &key, record)?;
        Ok(found.into_iter().next())
    }

    fn save_exchange_record(
        &mut self,
        key: &ExchangeKey,
        record: &ExchangeRecord,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let told = values![
            self.source(),
            &key.shard,
            &key.host,
            record.told_date,
            record.told_at,
            record.offset_seconds,
            record.newest_at,
            record.newest_id.as_deref(),
            record.moved_share,
            record.still_passes,
            record.cutoff,
            record.cutoff_at,
            record.status_at,
            record.is_trading,
            now,
            record.moved_passes,
        ];
        self.execute(
            "noting what the exchange told",
            statement!("exchange", "save_exchange_record"),
            &told,
        )?;
        Ok(())
    }

    fn save_come_back(
        &mut self,
        key: &ExchangeKey,
        come_back: ComeBack,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let what = "noting when to ask the exchange again";
        let told =
            values![self.source(), &key.shard, &key.host, come_back.at, come_back.probed_at, now];
        self.execute(what, statement!("exchange", "save_come_back"), &told)?;
        Ok(())
    }

    fn save_account(
        &mut self,
        key: &ExchangeKey,
        account: &AccountRecord,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let told = values![
            self.source(),
            &key.shard,
            &key.host,
            account.key_digest.as_deref(),
            account.asked_at,
            account.told_at,
            account.tier.as_deref(),
            account.rate,
            account.expires_at,
            now,
        ];
        let what = "noting the limits of the account";
        self.execute(what, statement!("exchange", "save_account"), &told)?;
        Ok(())
    }
}

fn record(row: Row<'_>) -> Result<ExchangeRecord, Failure> {
    let record = row.of("exchange_records");
    Ok(ExchangeRecord {
        told_date: record.get("told_date")?,
        told_at: record.get("told_at")?,
        offset_seconds: record.get("offset_seconds")?,
        newest_at: record.get("newest_at")?,
        newest_id: record.get("newest_id")?,
        moved_share: record.get("moved_share")?,
        moved_passes: record.get("moved_passes")?,
        still_passes: record.narrow("still_passes")?,
        cutoff: record.get("cutoff")?,
        cutoff_at: record.get("cutoff_at")?,
        status_at: record.get("status_at")?,
        is_trading: record.get("is_trading")?,
        come_back: ComeBack {
            at: record.get("come_back_at")?,
            probed_at: record.get("probed_at")?,
        },
        account: AccountRecord {
            key_digest: record.get("limits_key")?,
            asked_at: record.get("limits_asked_at")?,
            told_at: record.get("limits_told_at")?,
            tier: record.get("usage_tier")?,
            rate: record.get("read_rate")?,
            expires_at: record.get("limits_expire_at")?,
        },
    })
}
