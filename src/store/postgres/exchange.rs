//! What PostgreSQL remembers of the exchange.

use chrono::{DateTime, Utc};
use postgres::Row;
use postgres::types::Type;

use super::PostgresStore;
use super::rows::Record;
use crate::domain::exchange_record::{ComeBack, ExchangeRecord};
use crate::domain::time::Timestamp;
use crate::domain::trade::SOURCE;
use crate::failure::Failure;
use crate::store::exchange::{ExchangeKey, Exchanges};

impl Exchanges for PostgresStore {
    fn exchange_record(&mut self, key: &ExchangeKey) -> Result<Option<ExchangeRecord>, Failure> {
        let rows = self.read("reading what is known of the exchange", |transaction| {
            transaction.query_typed(
                include_str!("../../../sql/postgres/load_exchange_record.sql"),
                &[(&SOURCE, Type::TEXT), (&key.shard, Type::TEXT), (&key.host, Type::TEXT)],
            )
        })?;
        rows.first().map(record).transpose()
    }

    fn save_exchange_record(
        &mut self,
        key: &ExchangeKey,
        record: &ExchangeRecord,
        now: Timestamp,
    ) -> Result<(), Failure> {
        self.single("noting what the exchange told", |transaction| {
            transaction.execute_typed(
                include_str!("../../../sql/postgres/save_exchange_record.sql"),
                &[
                    (&SOURCE, Type::TEXT),
                    (&key.shard, Type::TEXT),
                    (&key.host, Type::TEXT),
                    (&chrono(record.told_date), Type::TIMESTAMPTZ),
                    (&chrono(record.told_at), Type::TIMESTAMPTZ),
                    (&record.offset_seconds, Type::FLOAT8),
                    (&chrono(record.newest_at), Type::TIMESTAMPTZ),
                    (&record.newest_id, Type::TEXT),
                    (&record.moved_share, Type::FLOAT8),
                    (&i64::from(record.still_passes), Type::INT8),
                    (&chrono(record.cutoff), Type::TIMESTAMPTZ),
                    (&chrono(record.cutoff_at), Type::TIMESTAMPTZ),
                    (&chrono(record.status_at), Type::TIMESTAMPTZ),
                    (&record.is_trading, Type::BOOL),
                    (&now.to_chrono(), Type::TIMESTAMPTZ),
                    (&record.moved_passes, Type::FLOAT8),
                ],
            )
        })
        .map(|_| ())
    }

    fn save_come_back(
        &mut self,
        key: &ExchangeKey,
        come_back: ComeBack,
        now: Timestamp,
    ) -> Result<(), Failure> {
        self.single("noting when to ask the exchange again", |transaction| {
            transaction.execute_typed(
                include_str!("../../../sql/postgres/save_come_back.sql"),
                &[
                    (&SOURCE, Type::TEXT),
                    (&key.shard, Type::TEXT),
                    (&key.host, Type::TEXT),
                    (&chrono(come_back.at), Type::TIMESTAMPTZ),
                    (&chrono(come_back.probed_at), Type::TIMESTAMPTZ),
                    (&now.to_chrono(), Type::TIMESTAMPTZ),
                ],
            )
        })
        .map(|_| ())
    }
}

fn chrono(instant: Option<Timestamp>) -> Option<DateTime<Utc>> {
    instant.map(Timestamp::to_chrono)
}

fn record(row: &Row) -> Result<ExchangeRecord, Failure> {
    let record = Record { table: "exchange_records", row };
    Ok(ExchangeRecord {
        told_date: record.instant("told_date")?,
        told_at: record.instant("told_at")?,
        offset_seconds: row.get("offset_seconds"),
        newest_at: record.instant("newest_at")?,
        newest_id: row.get("newest_id"),
        moved_share: row.get("moved_share"),
        moved_passes: row.get("moved_passes"),
        still_passes: u32::try_from(row.get::<_, i64>("still_passes")).unwrap_or(u32::MAX),
        cutoff: record.instant("cutoff")?,
        cutoff_at: record.instant("cutoff_at")?,
        status_at: record.instant("status_at")?,
        is_trading: row.get("is_trading"),
        come_back: ComeBack {
            at: record.instant("come_back_at")?,
            probed_at: record.instant("probed_at")?,
        },
    })
}
