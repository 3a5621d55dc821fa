//! What PostgreSQL keeps of backfills, and what it says of completeness.

use chrono::{DateTime, Utc};
use postgres::types::Type;
use postgres::{Error, Row};

use super::rows::{Instants, Record};
use super::transaction::{Parameters, Transaction};
use super::{COMMIT_LIMITS, MARKETS, PostgresStore, SCAN_LIMITS, because, replay};
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

fn texts(names: &[Ticker]) -> Vec<&str> {
    names.iter().map(Ticker::as_str).collect()
}

impl History for PostgresStore {
    fn slices(
        &mut self,
        names: &[Ticker],
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Slice>, Failure> {
        self.read("loading the ledger of backfills", |transaction| {
            transaction.query_typed(
                include_str!("../../../sql/postgres/load_slices.sql"),
                &[
                    (&SOURCE, Type::TEXT),
                    (&texts(names), Type::TEXT_ARRAY),
                    (&from.to_chrono(), Type::TIMESTAMPTZ),
                    (&until.to_chrono(), Type::TIMESTAMPTZ),
                ],
            )
        })?
        .iter()
        .map(slice)
        .collect()
    }

    fn add_slices(&mut self, slices: &[Slice], reset: bool, now: Timestamp) -> Result<(), Failure> {
        self.within("storing the ledger of backfills", COMMIT_LIMITS, |transaction| {
            add(transaction, slices, reset, now.to_chrono())
        })
    }

    fn complete_slices(
        &mut self,
        complete: &[SliceKey],
        strips: &[Slice],
        now: Timestamp,
    ) -> Result<(), Failure> {
        let now = now.to_chrono();
        self.within("storing the ledger of backfills", COMMIT_LIMITS, |transaction| {
            add(transaction, strips, false, now)?;
            let keys = Keys::new(complete);
            transaction.execute_typed(
                include_str!("../../../sql/postgres/complete_slices.sql"),
                &[
                    (&SOURCE, Type::TEXT),
                    (&keys.markets, Type::TEXT_ARRAY),
                    (&keys.tiers, Type::TEXT_ARRAY),
                    (&keys.from, Type::TIMESTAMPTZ_ARRAY),
                    (&keys.until, Type::TIMESTAMPTZ_ARRAY),
                    (&now, Type::TIMESTAMPTZ),
                ],
            )?;
            Ok(())
        })
    }

    fn stored_lifetime(
        &mut self,
        markets: &[Ticker],
        until: Option<Timestamp>,
    ) -> Result<Vec<(Ticker, i64)>, Failure> {
        let until = until.map(Timestamp::to_chrono);
        self.within("adding up what is stored", SCAN_LIMITS, |transaction| {
            transaction.query_typed(
                include_str!("../../../sql/postgres/stored_lifetime.sql"),
                &[
                    (&SOURCE, Type::TEXT),
                    (&texts(markets), Type::TEXT_ARRAY),
                    (&until, Type::TIMESTAMPTZ),
                ],
            )
        })?
        .iter()
        .map(|row| {
            let record = Record { table: "prediction_market_trades", row };
            Ok((record.ticker("market_ticker")?, row.get("quantity_e2")))
        })
        .collect()
    }

    fn stored_by_hour(
        &mut self,
        markets: &[Ticker],
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<HourVolume>, Failure> {
        self.within("adding up what is stored", SCAN_LIMITS, |transaction| {
            transaction.query_typed(
                include_str!("../../../sql/postgres/stored_by_hour.sql"),
                &[
                    (&SOURCE, Type::TEXT),
                    (&texts(markets), Type::TEXT_ARRAY),
                    (&from.to_chrono(), Type::TIMESTAMPTZ),
                    (&until.to_chrono(), Type::TIMESTAMPTZ),
                ],
            )
        })?
        .iter()
        .map(|row| {
            let record = Record { table: "prediction_market_trades", row };
            Ok(HourVolume {
                market: record.ticker("market_ticker")?,
                ends_at: record.known_instant("ends_at")?,
                quantity_e2: row.get("quantity_e2"),
            })
        })
        .collect()
    }

    fn save_scores(&mut self, scores: &[Score], now: Timestamp) -> Result<(), Failure> {
        let what = "storing scores";
        let mut transaction = self.alone(what, MARKETS)?;
        insert_scores(&mut transaction, scores, now.to_chrono()).map_err(because(what))?;
        transaction.commit().map_err(because(what))
    }

    fn raw_events(&mut self, place: &ReplayPlace, count: u32) -> Result<Vec<RawEvent>, Failure> {
        self.within("loading raw events", SCAN_LIMITS, |transaction| {
            transaction.query_typed(
                include_str!("../../../sql/postgres/load_events.sql"),
                &[
                    (&place.after_event, Type::INT8),
                    (&place.from.map(Timestamp::to_chrono), Type::TIMESTAMPTZ),
                    (&place.until.map(Timestamp::to_chrono), Type::TIMESTAMPTZ),
                    (&i64::from(count), Type::INT8),
                ],
            )
        })?
        .iter()
        .map(|row| {
            let record = Record { table: "raw_kalshi_trade_events", row };
            Ok(RawEvent {
                event_id: row.get("event_id"),
                run_id: row.get("run_id"),
                received_at: record.known_instant("received_at")?,
                market: record.ticker("market_ticker")?,
                payload: row.get::<_, &str>("payload").into(),
                rejected: row.get::<_, Option<&str>>("rejected").map(Box::from),
            })
        })
        .collect()
    }

    fn raw_events_left(&mut self, place: &ReplayPlace) -> Result<u64, Failure> {
        let row = self.within("counting raw events", SCAN_LIMITS, |transaction| {
            transaction.query_typed_one(
                include_str!("../../../sql/postgres/count_events.sql"),
                &[
                    (&place.after_event, Type::INT8),
                    (&place.from.map(Timestamp::to_chrono), Type::TIMESTAMPTZ),
                    (&place.until.map(Timestamp::to_chrono), Type::TIMESTAMPTZ),
                ],
            )
        })?;
        Ok(replay::count(&row, "events"))
    }

    fn replay_place(
        &mut self,
        target: &str,
        from: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<ReplayPlace, Failure> {
        let mut place = ReplayPlace { target: target.to_owned(), from, until, after_event: 0 };
        let known = self.read("loading the place of a replay", |transaction| {
            transaction.query_typed(
                include_str!("../../../sql/postgres/load_place.sql"),
                &[(&SOURCE, Type::TEXT), (&target, Type::TEXT), (&place.bounds(), Type::TEXT)],
            )
        })?;
        place.after_event = known.first().map_or(0, |row| row.get("after_event"));
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
        self.within("replaying trades", COMMIT_LIMITS, |transaction| {
            replay::store(transaction, place, trades, now)
        })
    }

    fn finish_replay(&mut self, place: &ReplayPlace) -> Result<(), Failure> {
        self.single("forgetting the place of a replay", |transaction| {
            let sql = include_str!("../../../sql/postgres/delete_place.sql");
            let bounds = place.bounds();
            let keys: &Parameters<'_> =
                &[(&SOURCE, Type::TEXT), (&place.target, Type::TEXT), (&bounds, Type::TEXT)];
            transaction.execute_typed(sql, keys).map(|_| ())
        })
    }

    fn compare_trades(&mut self, other: &str, examples: u32) -> Result<Difference, Failure> {
        check_name(other)?;
        replay::compare(self, other, examples)
    }

    fn prunable(&mut self, before: Timestamp) -> Result<(u64, u64), Failure> {
        let row = self.within("counting raw events", SCAN_LIMITS, |transaction| {
            transaction.query_typed_one(
                include_str!("../../../sql/postgres/count_prunable.sql"),
                &[(&SOURCE, Type::TEXT), (&before.to_chrono(), Type::TIMESTAMPTZ)],
            )
        })?;
        Ok((replay::count(&row, "events"), replay::count(&row, "unnormalized")))
    }

    fn prune(&mut self, before: Timestamp, count: u32) -> Result<u64, Failure> {
        self.within("pruning raw events", SCAN_LIMITS, |transaction| {
            replay::prune(transaction, before.to_chrono(), count)
        })
    }
}

/// The columns that identify slices.
struct Keys<'a> {
    markets: Vec<&'a str>,
    tiers: Vec<&'static str>,
    from: Vec<DateTime<Utc>>,
    until: Vec<DateTime<Utc>>,
}

impl<'a> Keys<'a> {
    fn new(keys: impl IntoIterator<Item = &'a SliceKey>) -> Keys<'a> {
        let keys: Vec<&SliceKey> = keys.into_iter().collect();
        Keys {
            markets: keys.iter().map(|key| key.market().as_str()).collect(),
            tiers: keys.iter().map(|key| key.tier().as_str()).collect(),
            from: keys.iter().map(|key| key.from().to_chrono()).collect(),
            until: keys.iter().map(|key| key.until().to_chrono()).collect(),
        }
    }
}

/// The other columns of slices.
struct Marks<'a> {
    statuses: Vec<&'static str>,
    cursors: Vec<Option<&'a str>>,
    lows: Instants,
    versions: Vec<i64>,
}

impl<'a> Marks<'a> {
    fn new(slices: &'a [Slice]) -> Marks<'a> {
        Marks {
            statuses: slices.iter().map(|slice| slice.status.as_str()).collect(),
            cursors: slices.iter().map(|slice| slice.cursor.as_deref()).collect(),
            lows: slices.iter().map(|slice| slice.low.map(Timestamp::to_chrono)).collect(),
            versions: slices.iter().map(|slice| slice.version).collect(),
        }
    }
}

fn add(
    transaction: &mut Transaction<'_>,
    slices: &[Slice],
    reset: bool,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if slices.is_empty() {
        return Ok(());
    }
    let sql = if reset {
        include_str!("../../../sql/postgres/reset_slices.sql")
    } else {
        include_str!("../../../sql/postgres/add_slices.sql")
    };
    let (keys, marks) = (Keys::new(slices.iter().map(|slice| &slice.key)), Marks::new(slices));
    transaction.execute_typed(
        sql,
        &[
            (&SOURCE, Type::TEXT),
            (&keys.markets, Type::TEXT_ARRAY),
            (&keys.tiers, Type::TEXT_ARRAY),
            (&keys.from, Type::TIMESTAMPTZ_ARRAY),
            (&keys.until, Type::TIMESTAMPTZ_ARRAY),
            (&marks.statuses, Type::TEXT_ARRAY),
            (&marks.cursors, Type::TEXT_ARRAY),
            (&marks.lows, Type::TIMESTAMPTZ_ARRAY),
            (&marks.versions, Type::INT8_ARRAY),
            (&now, Type::TIMESTAMPTZ),
        ],
    )?;
    Ok(())
}

/// The slices of a commit whose new rows are these.
pub(super) fn advance(
    transaction: &mut Transaction<'_>,
    commit: &Commit,
    now: DateTime<Utc>,
    inserted: &[usize],
) -> Result<(), Error> {
    let slices = commit.slices();
    let (keys, marks) = (Keys::new(slices.iter().map(|slice| &slice.key)), Marks::new(slices));
    transaction.execute_typed(
        include_str!("../../../sql/postgres/advance_slices.sql"),
        &[
            (&SOURCE, Type::TEXT),
            (&keys.markets, Type::TEXT_ARRAY),
            (&keys.tiers, Type::TEXT_ARRAY),
            (&keys.from, Type::TIMESTAMPTZ_ARRAY),
            (&keys.until, Type::TIMESTAMPTZ_ARRAY),
            (&marks.statuses, Type::TEXT_ARRAY),
            (&marks.cursors, Type::TEXT_ARRAY),
            (&marks.lows, Type::TIMESTAMPTZ_ARRAY),
            (&marks.versions, Type::INT8_ARRAY),
            (&new_by_slice(commit, inserted), Type::INT8_ARRAY),
            (&now, Type::TIMESTAMPTZ),
        ],
    )?;
    Ok(())
}

fn insert_scores(
    transaction: &mut Transaction<'_>,
    scores: &[Score],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let instants = |field: fn(&Score) -> Option<Timestamp>| -> Instants {
        scores.iter().map(|score| field(score).map(Timestamp::to_chrono)).collect()
    };
    let markets: Vec<&str> = scores.iter().map(|score| score.market.as_str()).collect();
    let stored: Vec<i64> = scores.iter().map(|score| score.stored_e2).collect();
    let exchange: Vec<i64> = scores.iter().map(|score| score.exchange_e2).collect();
    let values: Vec<f64> = scores.iter().map(Score::value).collect();
    let bases: Vec<&str> = scores.iter().map(|score| score.basis.as_str()).collect();
    transaction.execute_typed(
        include_str!("../../../sql/postgres/insert_scores.sql"),
        &[
            (&SOURCE, Type::TEXT),
            (&markets, Type::TEXT_ARRAY),
            (&instants(|score| score.from), Type::TIMESTAMPTZ_ARRAY),
            (&instants(|score| score.until), Type::TIMESTAMPTZ_ARRAY),
            (&stored, Type::INT8_ARRAY),
            (&exchange, Type::INT8_ARRAY),
            (&values, Type::FLOAT8_ARRAY),
            (&bases, Type::TEXT_ARRAY),
            (&now, Type::TIMESTAMPTZ),
        ],
    )?;
    transaction.execute_typed(
        include_str!("../../../sql/postgres/mark_scores.sql"),
        &[
            (&SOURCE, Type::TEXT),
            (&markets, Type::TEXT_ARRAY),
            (&values, Type::FLOAT8_ARRAY),
            (&now, Type::TIMESTAMPTZ),
        ],
    )?;
    Ok(())
}

/// Reads a row of `load_slices.sql`.
fn slice(row: &Row) -> Result<Slice, Failure> {
    let record = Record { table: "ingestion_windows", row };
    let tier = Tier::parse(row.get("tier")).ok_or_else(|| record.damaged("tier"))?;
    let (from, until) =
        (record.known_instant("window_from")?, record.known_instant("window_until")?);
    let key = SliceKey::new(record.ticker("market_ticker")?, tier, from, until);
    Ok(Slice {
        key: key.ok_or_else(|| record.damaged("window_from, window_until"))?,
        status: SliceStatus::parse(row.get("status")).ok_or_else(|| record.damaged("status"))?,
        cursor: row.get("walk_cursor"),
        low: record.instant("walk_low")?,
        version: row.get("version"),
    })
}
