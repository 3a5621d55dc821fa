//! What SQLite remembers of the exchange.

use rusqlite::{Row, params};

use super::SqliteStore;
use super::rows::{Record, text};
use crate::domain::exchange_record::{ComeBack, ExchangeRecord};
use crate::domain::time::Timestamp;
use crate::domain::trade::SOURCE;
use crate::failure::Failure;
use crate::store::exchange::{ExchangeKey, Exchanges};

impl Exchanges for SqliteStore {
    fn exchange_record(&mut self, key: &ExchangeKey) -> Result<Option<ExchangeRecord>, Failure> {
        let sql = include_str!("../../../sql/sqlite/load_exchange_record.sql");
        let parameters = params![SOURCE, key.shard, key.host];
        let found = self.read("reading what is known of the exchange", sql, parameters, record)?;
        Ok(found.into_iter().next())
    }

    fn save_exchange_record(
        &mut self,
        key: &ExchangeKey,
        record: &ExchangeRecord,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let parameters = params![
            SOURCE,
            key.shard,
            key.host,
            text(record.told_date),
            text(record.told_at),
            record.offset_seconds,
            text(record.newest_at),
            record.newest_id,
            record.moved_share,
            record.still_passes,
            text(record.cutoff),
            text(record.cutoff_at),
            text(record.status_at),
            record.is_trading,
            now.to_string(),
            record.moved_passes,
        ];
        let sql = include_str!("../../../sql/sqlite/save_exchange_record.sql");
        self.execute("noting what the exchange told", sql, parameters)
    }

    fn save_come_back(
        &mut self,
        key: &ExchangeKey,
        come_back: ComeBack,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let (at, probed_at) = (text(come_back.at), text(come_back.probed_at));
        let parameters = params![SOURCE, key.shard, key.host, at, probed_at, now.to_string()];
        let sql = include_str!("../../../sql/sqlite/save_come_back.sql");
        self.execute("noting when to ask the exchange again", sql, parameters)
    }
}

fn record(row: &Row<'_>) -> Result<ExchangeRecord, Failure> {
    let record = Record { table: "exchange_records", row };
    Ok(ExchangeRecord {
        told_date: record.instant("told_date")?,
        told_at: record.instant("told_at")?,
        offset_seconds: record.get("offset_seconds")?,
        newest_at: record.instant("newest_at")?,
        newest_id: record.get("newest_id")?,
        moved_share: record.get("moved_share")?,
        moved_passes: record.get("moved_passes")?,
        still_passes: u32::try_from(record.get::<i64>("still_passes")?).unwrap_or(u32::MAX),
        cutoff: record.instant("cutoff")?,
        cutoff_at: record.instant("cutoff_at")?,
        status_at: record.instant("status_at")?,
        is_trading: record.get("is_trading")?,
        come_back: ComeBack {
            at: record.instant("come_back_at")?,
            probed_at: record.instant("probed_at")?,
        },
    })
}
