//! What SQLite keeps of backfills, and what it says of completeness.

use rusqlite::{Row, params};

use super::rows::{Record, text};
use super::transaction::Transaction;
use super::{SqliteStore, because, replay};
use crate::domain::batch::Commit;
use crate::domain::completeness::{HourVolume, Score};
use crate::domain::slice::{Slice, SliceKey, SliceStatus};
use crate::domain::tier::Tier;
use crate::domain::time::Timestamp;
use crate::domain::trade::{SOURCE, Ticker};
use crate::failure::Failure;
use crate::store::history::{
    Difference, History, RawEvent, ReplayPlace, Replayed, check_name, new_by_slice,
};

/// A JSON list: SQLite has no arrays.
fn list(names: &[Ticker]) -> String {
    let names: Vec<&str> = names.iter().map(Ticker::as_str).collect();
    serde_json::Value::from(names).to_string()
}

impl History for SqliteStore {
    fn slices(
        &mut self,
        names: &[Ticker],
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Slice>, Failure> {
        let sql = include_str!("../../../sql/sqlite/load_slices.sql");
        let parameters = params![SOURCE, list(names), from.to_string(), until.to_string()];
        self.read("loading the ledger of backfills", sql, parameters, slice)
    }

    fn add_slices(&mut self, slices: &[Slice], reset: bool, now: Timestamp) -> Result<(), Failure> {
        self.write("storing the ledger of backfills", |transaction| {
            add(transaction, slices, reset, now)
        })
    }

    fn complete_slices(
        &mut self,
        complete: &[SliceKey],
        strips: &[Slice],
        now: Timestamp,
    ) -> Result<(), Failure> {
        self.write("storing the ledger of backfills", |transaction| {
            add(transaction, strips, false, now)?;
            let sql = include_str!("../../../sql/sqlite/complete_slices.sql");
            let mut update = transaction.prepare_cached(sql)?;
            for key in complete {
                update.execute(params![
                    SOURCE,
                    key.market().as_str(),
                    key.tier().as_str(),
                    key.from().to_string(),
                    key.until().to_string(),
                    now.to_string(),
                ])?;
            }
            Ok(())
        })
    }

    fn stored_lifetime(
        &mut self,
        markets: &[Ticker],
        until: Option<Timestamp>,
    ) -> Result<Vec<(Ticker, i64)>, Failure> {
        let sql = include_str!("../../../sql/sqlite/stored_lifetime.sql");
        let parameters = params![SOURCE, list(markets), until.map(|at| at.to_string())];
        self.read("adding up what is stored", sql, parameters, |row| {
            let record = Record { table: "prediction_market_trades", row };
            Ok((record.ticker("market_ticker")?, record.get("quantity_e2")?))
        })
    }

    fn stored_by_hour(
        &mut self,
        markets: &[Ticker],
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<HourVolume>, Failure> {
        let sql = include_str!("../../../sql/sqlite/stored_by_hour.sql");
        let parameters = params![SOURCE, list(markets), from.to_string(), until.to_string()];
        self.read("adding up what is stored", sql, parameters, |row| {
            let record = Record { table: "prediction_market_trades", row };
            Ok(HourVolume {
                market: record.ticker("market_ticker")?,
                ends_at: Timestamp::from_seconds(record.get("ends_at")?),
                quantity_e2: record.get("quantity_e2")?,
            })
        })
    }

    fn save_scores(&mut self, scores: &[Score], now: Timestamp) -> Result<(), Failure> {
        let now = now.to_string();
        self.write("storing scores", |transaction| insert_scores(transaction, scores, &now))
    }

    fn raw_events(&mut self, place: &ReplayPlace, count: u32) -> Result<Vec<RawEvent>, Failure> {
        let sql = include_str!("../../../sql/sqlite/load_events.sql");
        let parameters = params![place.after_event, text(place.from), text(place.until), count];
        self.read("loading raw events", sql, parameters, |row| {
            let record = Record { table: "raw_kalshi_trade_events", row };
            Ok(RawEvent {
                event_id: record.get("event_id")?,
                run_id: record.get("run_id")?,
                received_at: record.known_instant("received_at")?,
                market: record.ticker("market_ticker")?,
                payload: record.get("payload")?,
                rejected: record.get("rejected")?,
            })
        })
    }

    fn raw_events_left(&mut self, place: &ReplayPlace) -> Result<u64, Failure> {
        let sql = include_str!("../../../sql/sqlite/count_events.sql");
        let parameters = params![place.after_event, text(place.from), text(place.until)];
        self.ask(sql, parameters, |row| replay::count(row, "events"))
            .map_err(because("counting raw events"))
    }

    fn replay_place(
        &mut self,
        target: &str,
        from: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<ReplayPlace, Failure> {
        let mut place = ReplayPlace { target: target.to_owned(), from, until, after_event: 0 };
        let sql = include_str!("../../../sql/sqlite/load_place.sql");
        let parameters = params![SOURCE, target, place.bounds()];
        let known = self.read("loading the place of a replay", sql, parameters, |row| {
            Record { table: "replay_places", row }.get("after_event")
        })?;
        place.after_event = known.first().copied().unwrap_or(0);
        Ok(place)
    }

    fn make_trades_table(&mut self, name: &str) -> Result<(), Failure> {
        check_name(name)?;
        replay::make_table(self, name)
    }

    fn replay(
        &mut self,
        place: &ReplayPlace,
        trades: &[Replayed],
        now: Timestamp,
    ) -> Result<u64, Failure> {
        check_name(&place.target)?;
        self.write("replaying trades", |transaction| {
            replay::store(transaction, place, trades, &now.to_string())
        })
    }

    fn finish_replay(&mut self, place: &ReplayPlace) -> Result<(), Failure> {
        let sql = include_str!("../../../sql/sqlite/delete_place.sql");
        let parameters = params![SOURCE, place.target, place.bounds()];
        self.execute("forgetting the place of a replay", sql, parameters)
    }

    fn compare_trades(&mut self, other: &str, examples: u32) -> Result<Difference, Failure> {
        check_name(other)?;
        replay::compare(self, other, examples)
    }

    fn prunable(&mut self, before: Timestamp) -> Result<(u64, u64), Failure> {
        let sql = include_str!("../../../sql/sqlite/count_prunable.sql");
        self.ask(sql, params![SOURCE, before.to_string()], |row| {
            Ok((replay::count(row, "events")?, replay::count(row, "unnormalized")?))
        })
        .map_err(because("counting raw events"))
    }

    fn prune(&mut self, before: Timestamp, count: u32) -> Result<u64, Failure> {
        replay::prune(self, before, count)
    }
}

fn add(
    transaction: &Transaction<'_>,
    slices: &[Slice],
    reset: bool,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let sql = if reset {
        include_str!("../../../sql/sqlite/reset_slices.sql")
    } else {
        include_str!("../../../sql/sqlite/add_slices.sql")
    };
    let mut insert = transaction.prepare_cached(sql)?;
    for slice in slices {
        insert.execute(params![
            SOURCE,
            slice.key.market().as_str(),
            slice.key.tier().as_str(),
            slice.key.from().to_string(),
            slice.key.until().to_string(),
            slice.status.as_str(),
            slice.cursor,
            text(slice.low),
            slice.version,
            now.to_string(),
        ])?;
    }
    Ok(())
}

/// The slices of a commit whose new rows are these.
pub(super) fn advance(
    transaction: &Transaction<'_>,
    commit: &Commit,
    now: &str,
    inserted: &[usize],
) -> rusqlite::Result<()> {
    let mut update =
        transaction.prepare_cached(include_str!("../../../sql/sqlite/advance_slices.sql"))?;
    for (slice, ingested) in commit.slices().iter().zip(new_by_slice(commit, inserted)) {
        update.execute(params![
            SOURCE,
            slice.key.market().as_str(),
            slice.key.tier().as_str(),
            slice.key.from().to_string(),
            slice.key.until().to_string(),
            slice.status.as_str(),
            slice.cursor,
            text(slice.low),
            slice.version,
            ingested,
            now,
        ])?;
    }
    Ok(())
}

fn insert_scores(
    transaction: &Transaction<'_>,
    scores: &[Score],
    now: &str,
) -> rusqlite::Result<()> {
    let mut insert =
        transaction.prepare_cached(include_str!("../../../sql/sqlite/insert_scores.sql"))?;
    let mut mark =
        transaction.prepare_cached(include_str!("../../../sql/sqlite/mark_scores.sql"))?;
    for score in scores {
        insert.execute(params![
            SOURCE,
            score.market.as_str(),
            text(score.from),
            text(score.until),
            score.stored_e2,
            score.exchange_e2,
            score.value(),
            score.basis.as_str(),
            now,
        ])?;
        mark.execute(params![SOURCE, score.market.as_str(), score.value(), now])?;
    }
    Ok(())
}

/// Reads a row of `load_slices.sql`.
fn slice(row: &Row<'_>) -> Result<Slice, Failure> {
    let record = Record { table: "ingestion_windows", row };
    let tier = Tier::parse(&record.get::<String>("tier")?).ok_or_else(|| record.damaged("tier"))?;
    let status = SliceStatus::parse(&record.get::<String>("status")?);
    let (from, until) =
        (record.known_instant("window_from")?, record.known_instant("window_until")?);
    let key = SliceKey::new(record.ticker("market_ticker")?, tier, from, until);
    Ok(Slice {
        key: key.ok_or_else(|| record.damaged("window_from, window_until"))?,
        status: status.ok_or_else(|| record.damaged("status"))?,
        cursor: record.get("walk_cursor")?,
        low: record.instant("walk_low")?,
        version: record.get("version")?,
    })
}
