//! What PostgreSQL keeps of markets, of what was selected, and of order books.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use postgres::types::{ToSql, Type};
use postgres::{Error, Row};

use super::rows::{Instants, Record, checkpoint};
use super::transaction::{Parameters, Transaction};
use super::{COMMIT_LIMITS, MARKETS, PostgresStore, WATCHES, because, markets};
use crate::domain::backfill::Life;
use crate::domain::book::{Figures, Snapshot};
use crate::domain::checkpoint::Checkpoint;
use crate::domain::market::{
    Absence, EventRecord, FalseMark, Known, Refusal, Scope, Sighting, Status, WatchChange,
    WatchRecord,
};
use crate::domain::selection::Target;
use crate::domain::time::Timestamp;
use crate::domain::trade::{Price, SOURCE, Ticker};
use crate::failure::Failure;
use crate::store::RunId;
use crate::store::catalogue::{Catalogue, storable};

impl PostgresStore {
    fn load_markets(
        &mut self,
        sql: &str,
        parameters: &Parameters<'_>,
    ) -> Result<Vec<Known>, Failure> {
        self.read("loading markets", |transaction| transaction.query_typed(sql, parameters))?
            .iter()
            .map(known)
            .collect()
    }
}

impl Catalogue for PostgresStore {
    fn watches(&mut self, names: &[String], now: Timestamp) -> Result<Vec<WatchRecord>, Failure> {
        let rows = self.single("recording the selection", |transaction| {
            let known = load_watches(transaction, names)?;
            if known.len() == names.len() {
                return Ok(known);
            }
            transaction.execute_typed(
                include_str!("../../../sql/postgres/select_watches.sql"),
                &[
                    (&SOURCE, Type::TEXT),
                    (&names, Type::TEXT_ARRAY),
                    (&now.to_chrono(), Type::TIMESTAMPTZ),
                ],
            )?;
            load_watches(transaction, names)
        })?;
        rows.iter().map(watch).collect()
    }

    fn watches_on_record(&mut self, names: &[String]) -> Result<Vec<WatchRecord>, Failure> {
        self.read("loading the selection", |transaction| load_watches(transaction, names))?
            .iter()
            .map(watch)
            .collect()
    }

    fn save_watches(&mut self, changes: &[WatchChange]) -> Result<(), Failure> {
        let what = "storing the selection";
        let mut transaction = self.alone(what, WATCHES)?;
        update_watches(&mut transaction, changes).map_err(because(what))?;
        transaction.commit().map_err(because(what))
    }

    fn lower_mark(
        &mut self,
        mark: &FalseMark,
        run: RunId,
        now: Timestamp,
    ) -> Result<bool, Failure> {
        let what = "lowering a false mark";
        let FalseMark { watch, claimed, reason } = mark;
        let (claimed, now) = (claimed.to_chrono(), now.to_chrono());
        self.within(what, COMMIT_LIMITS, |transaction| {
            let lowered = transaction.execute_typed(
                include_str!("../../../sql/postgres/lower_mark.sql"),
                &[(&SOURCE, Type::TEXT), (watch, Type::TEXT), (&claimed, Type::TIMESTAMPTZ)],
            )?;
            if lowered > 0 {
                transaction.execute_typed(
                    include_str!("../../../sql/postgres/note_lowered_mark.sql"),
                    &[
                        (&SOURCE, Type::TEXT),
                        (watch, Type::TEXT),
                        (&claimed, Type::TIMESTAMPTZ),
                        (reason, Type::TEXT),
                        (&run, Type::INT8),
                        (&now, Type::TIMESTAMPTZ),
                    ],
                )?;
            }
            Ok(lowered > 0)
        })
    }

    fn newest_trade(&mut self, until: Timestamp) -> Result<Option<Timestamp>, Failure> {
        let row = self.read("reading the newest trade", |transaction| {
            transaction.query_typed_one(
                include_str!("../../../sql/postgres/newest_trade.sql"),
                &[(&SOURCE, Type::TEXT), (&until.to_chrono(), Type::TIMESTAMPTZ)],
            )
        })?;
        Record { row: &row, table: "ingestion_checkpoints" }.instant("traded_at")
    }

    fn refusals(&mut self, names: &[String]) -> Result<Vec<Refusal>, Failure> {
        let rows = self.read("loading refused names", |transaction| {
            transaction.query_typed(
                include_str!("../../../sql/postgres/load_refused.sql"),
                &[(&SOURCE, Type::TEXT), (&names, Type::TEXT_ARRAY)],
            )
        })?;
        let refusal = |row: &Row| {
            let record = Record { table: "refused_names", row };
            Ok(Refusal {
                name: row.get("name"),
                first_refused_at: record.known_instant("first_refused_at")?,
                checked_at: record.known_instant("checked_at")?,
            })
        };
        rows.iter().map(refusal).collect()
    }

    fn save_refusals(
        &mut self,
        refused: &[String],
        lifted: &[String],
        now: Timestamp,
    ) -> Result<(), Failure> {
        let what = "storing refused names";
        let mut transaction = self.alone(what, WATCHES)?;
        refuse(&mut transaction, refused, now.to_chrono()).map_err(because(what))?;
        transaction
            .execute_typed(
                include_str!("../../../sql/postgres/lift_refusal.sql"),
                &[(&SOURCE, Type::TEXT), (&lifted, Type::TEXT_ARRAY)],
            )
            .map_err(because(what))?;
        transaction.commit().map_err(because(what))
    }

    fn is_on_record(&mut self, target: &Target) -> Result<bool, Failure> {
        let (kind, name) = (target.kind(), target.label());
        let row = self.read("looking for a name", |transaction| {
            transaction.query_typed_one(
                include_str!("../../../sql/postgres/is_on_record.sql"),
                &[(&SOURCE, Type::TEXT), (&kind, Type::TEXT), (&name, Type::TEXT)],
            )
        })?;
        Ok(row.get(0))
    }

    fn checkpoints_on_record(&mut self, markets: &[Ticker]) -> Result<Vec<Checkpoint>, Failure> {
        let markets: Vec<&str> = markets.iter().map(Ticker::as_str).collect();
        let rows = self.read("loading checkpoints", |transaction| {
            transaction.query_typed(
                include_str!("../../../sql/postgres/load_checkpoints.sql"),
                &[(&SOURCE, Type::TEXT), (&markets, Type::TEXT_ARRAY)],
            )
        })?;
        rows.iter().map(checkpoint).collect()
    }

    fn over_markets(
        &mut self,
        scope: Scope<'_>,
        ended_after: Timestamp,
        count_max: usize,
    ) -> Result<Vec<Known>, Failure> {
        let (sql, of) = match scope {
            Scope::All => return Ok(Vec::new()),
            Scope::Series(series) => {
                (include_str!("../../../sql/postgres/load_over_series.sql"), series)
            }
            Scope::Event(event) => {
                (include_str!("../../../sql/postgres/load_over_event.sql"), event)
            }
        };
        let count_max = i64::try_from(count_max).unwrap_or(i64::MAX);
        self.load_markets(
            sql,
            &[
                (&SOURCE, Type::TEXT),
                (&of, Type::TEXT),
                (&ended_after.to_chrono(), Type::TIMESTAMPTZ),
                (&count_max, Type::INT8),
            ],
        )
    }

    fn series_of_events(&mut self, events: &[Box<str>]) -> Result<Vec<EventRecord>, Failure> {
        let events: Vec<&str> = events.iter().map(|event| &**event).collect();
        let rows = self.read("looking for events", |transaction| {
            transaction.query_typed(
                include_str!("../../../sql/postgres/series_of_events.sql"),
                &[(&SOURCE, Type::TEXT), (&events, Type::TEXT_ARRAY)],
            )
        })?;
        let event = |row: &Row| EventRecord {
            event: row.get("event_ticker"),
            series: row.get("series_ticker"),
            title: row.get("title"),
        };
        Ok(rows.iter().map(event).collect())
    }

    fn known_markets(&mut self, tickers: &[Ticker]) -> Result<Vec<Known>, Failure> {
        let tickers: Vec<&str> = tickers.iter().map(Ticker::as_str).collect();
        self.load_markets(
            include_str!("../../../sql/postgres/load_markets.sql"),
            &[(&SOURCE, Type::TEXT), (&tickers, Type::TEXT_ARRAY)],
        )
    }

    fn unsettled_markets(&mut self, scope: Scope<'_>) -> Result<Vec<Known>, Failure> {
        match scope {
            Scope::All => self.load_markets(
                include_str!("../../../sql/postgres/load_unsettled.sql"),
                &[(&SOURCE, Type::TEXT)],
            ),
            Scope::Series(series) => self.load_markets(
                include_str!("../../../sql/postgres/load_unsettled_series.sql"),
                &[(&SOURCE, Type::TEXT), (&series, Type::TEXT)],
            ),
            Scope::Event(event) => self.load_markets(
                include_str!("../../../sql/postgres/load_unsettled_event.sql"),
                &[(&SOURCE, Type::TEXT), (&event, Type::TEXT)],
            ),
        }
    }

    fn lives(
        &mut self,
        scope: Scope<'_>,
        only: Option<&[Ticker]>,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Life>, Failure> {
        let (series, event) = scope.names();
        let only: Option<Vec<&str>> = only.map(|only| only.iter().map(Ticker::as_str).collect());
        let life = |row: &Row| {
            let record = Record { row, table: "prediction_markets" };
            Ok(Life {
                market: record.ticker("market_ticker")?,
                series: row.get("series_ticker"),
                open_time: record.instant("open_time")?,
                close_time: record.instant("close_time")?,
                status: Status::parse(row.get("status")),
                volume_e2: row.get("volume_e2"),
                seen_at: record.instant("observed_at")?,
            })
        };
        let parameters: &Parameters<'_> = &[
            (&SOURCE, Type::TEXT),
            (&series, Type::TEXT),
            (&event, Type::TEXT),
            (&from.to_chrono(), Type::TIMESTAMPTZ),
            (&until.to_chrono(), Type::TIMESTAMPTZ),
            (&only, Type::TEXT_ARRAY),
        ];
        let sql = include_str!("../../../sql/postgres/load_lives.sql");
        self.read("loading markets", |transaction| transaction.query_typed(sql, parameters))?
            .iter()
            .map(life)
            .collect()
    }

    fn save_markets(
        &mut self,
        seen: &[Sighting],
        absent: &[Absence],
        now: Timestamp,
    ) -> Result<u64, Failure> {
        let what = "storing markets";
        let now = now.to_chrono();
        let mut transaction = self.alone(what, MARKETS)?;
        let mut changed = 0;
        if !absent.is_empty() {
            changed += markets::miss(&mut transaction, absent, now).map_err(because(what))?;
        }
        if !seen.is_empty() {
            changed += markets::see(&mut transaction, seen, now).map_err(because(what))?;
        }
        transaction.commit().map_err(because(what))?;
        Ok(changed)
    }

    fn events_without_series(&mut self) -> Result<Vec<Box<str>>, Failure> {
        let rows = self.read("looking for events without a series", |transaction| {
            transaction.query_typed(
                include_str!("../../../sql/postgres/events_without_series.sql"),
                &[(&SOURCE, Type::TEXT)],
            )
        })?;
        Ok(rows.iter().map(|row| Box::from(row.get::<_, &str>(0))).collect())
    }

    fn save_events(&mut self, events: &[EventRecord], now: Timestamp) -> Result<(), Failure> {
        let what = "storing events";
        let mut transaction = self.alone(what, MARKETS)?;
        store_events(&mut transaction, events, now.to_chrono()).map_err(because(what))?;
        transaction.commit().map_err(because(what))
    }

    fn save_books(&mut self, books: &[Snapshot]) -> Result<(), Failure> {
        self.within("storing order books", COMMIT_LIMITS, |transaction| {
            insert_books(transaction, books)
        })
    }

    fn tape_rate(&mut self) -> Result<Option<f64>, Failure> {
        let row = self.read("reading how busy the tape is", |transaction| {
            transaction.query_typed_one(include_str!("../../../sql/postgres/tape_rate.sql"), &[])
        })?;
        Ok(row.get("rate"))
    }
}

fn load_watches(transaction: &mut Transaction<'_>, names: &[String]) -> Result<Vec<Row>, Error> {
    transaction.query_typed(
        include_str!("../../../sql/postgres/load_watches.sql"),
        &[(&SOURCE, Type::TEXT), (&names, Type::TEXT_ARRAY)],
    )
}

fn update_watches(transaction: &mut Transaction<'_>, changes: &[WatchChange]) -> Result<(), Error> {
    let watches: Vec<&str> = changes.iter().map(|change| change.watch.as_str()).collect();
    let instants = |field: fn(&WatchChange) -> Option<Timestamp>| -> Instants {
        changes.iter().map(|change| field(change).map(Timestamp::to_chrono)).collect()
    };
    transaction.execute_typed(
        include_str!("../../../sql/postgres/update_watches.sql"),
        &[
            (&SOURCE, Type::TEXT),
            (&watches, Type::TEXT_ARRAY),
            (&instants(|change| change.resolved_at), Type::TIMESTAMPTZ_ARRAY),
            (&instants(|change| change.synced.map(|(at, _)| at)), Type::TIMESTAMPTZ_ARRAY),
            (
                &instants(|change| change.synced.and_then(|(_, until)| until)),
                Type::TIMESTAMPTZ_ARRAY,
            ),
            (&instants(|change| change.known_at), Type::TIMESTAMPTZ_ARRAY),
            (&instants(|change| change.empty_at), Type::TIMESTAMPTZ_ARRAY),
        ],
    )?;
    let mut update = |sql: &str, field: fn(&WatchChange) -> &[Ticker]| {
        let (watches, markets): (Vec<&str>, Vec<&str>) = changes
            .iter()
            .flat_map(|change| {
                field(change).iter().map(move |market| (change.watch.as_str(), market.as_str()))
            })
            .unzip();
        let parameters: [(&(dyn ToSql + Sync), Type); 3] =
            [(&SOURCE, Type::TEXT), (&watches, Type::TEXT_ARRAY), (&markets, Type::TEXT_ARRAY)];
        transaction.execute_typed(sql, &parameters)
    };
    update(include_str!("../../../sql/postgres/insert_members.sql"), |change| &change.joined)?;
    update(include_str!("../../../sql/postgres/delete_members.sql"), |change| &change.left)?;
    Ok(())
}

fn refuse(
    transaction: &mut Transaction<'_>,
    names: &[String],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let parameters: [(&(dyn ToSql + Sync), Type); 3] =
        [(&SOURCE, Type::TEXT), (&names, Type::TEXT_ARRAY), (&now, Type::TIMESTAMPTZ)];
    transaction
        .execute_typed(include_str!("../../../sql/postgres/refuse_name.sql"), &parameters)?;
    transaction
        .execute_typed(include_str!("../../../sql/postgres/forget_watch.sql"), &parameters[..2])?;
    transaction
        .execute_typed(include_str!("../../../sql/postgres/retire_refused.sql"), &parameters)?;
    Ok(())
}

fn store_events(
    transaction: &mut Transaction<'_>,
    events: &[EventRecord],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let names: Vec<Cow<'_, str>> = events.iter().map(|event| storable(&event.event)).collect();
    let series: Vec<Cow<'_, str>> = events.iter().map(|event| storable(&event.series)).collect();
    let titles: Vec<Option<Cow<'_, str>>> =
        events.iter().map(|event| event.title.as_deref().map(storable)).collect();
    transaction.execute_typed(
        include_str!("../../../sql/postgres/store_events.sql"),
        &[
            (&SOURCE, Type::TEXT),
            (&names, Type::TEXT_ARRAY),
            (&series, Type::TEXT_ARRAY),
            (&titles, Type::TEXT_ARRAY),
            (&now, Type::TIMESTAMPTZ),
        ],
    )?;
    transaction.execute_typed(
        include_str!("../../../sql/postgres/name_series.sql"),
        &[(&SOURCE, Type::TEXT), (&names, Type::TEXT_ARRAY), (&now, Type::TIMESTAMPTZ)],
    )?;
    Ok(())
}

fn insert_books(transaction: &mut Transaction<'_>, books: &[Snapshot]) -> Result<(), Error> {
    let figures = || books.iter().map(|book| &book.figures);
    let prices = |field: fn(&Figures) -> Option<Price>| -> Vec<Option<i32>> {
        figures().map(|figures| field(figures).map(Price::e4_cents)).collect()
    };
    let numbers =
        |field: fn(&Figures) -> Option<i64>| -> Vec<Option<i64>> { figures().map(field).collect() };
    let markets: Vec<&str> = books.iter().map(|book| book.market.as_str()).collect();
    let times: Vec<DateTime<Utc>> = books.iter().map(|book| book.captured_at.to_chrono()).collect();
    let spreads: Vec<Option<i32>> = figures().map(|figures| figures.spread_e4).collect();
    let levels: Vec<&str> = books.iter().map(|book| &*book.levels).collect();
    transaction.execute_typed(
        include_str!("../../../sql/postgres/insert_books.sql"),
        &[
            (&SOURCE, Type::TEXT),
            (&markets, Type::TEXT_ARRAY),
            (&times, Type::TIMESTAMPTZ_ARRAY),
            (&prices(|figures| figures.best_yes_bid), Type::INT4_ARRAY),
            (&prices(|figures| figures.best_yes_ask), Type::INT4_ARRAY),
            (&prices(|figures| figures.best_no_bid), Type::INT4_ARRAY),
            (&prices(|figures| figures.best_no_ask), Type::INT4_ARRAY),
            (&spreads, Type::INT4_ARRAY),
            (&numbers(|figures| Some(figures.yes_depth_e2)), Type::INT8_ARRAY),
            (&numbers(|figures| Some(figures.no_depth_e2)), Type::INT8_ARRAY),
            (&numbers(|figures| figures.slippage_buy_e9[0]), Type::INT8_ARRAY),
            (&numbers(|figures| figures.slippage_sell_e9[0]), Type::INT8_ARRAY),
            (&numbers(|figures| figures.slippage_buy_e9[1]), Type::INT8_ARRAY),
            (&numbers(|figures| figures.slippage_sell_e9[1]), Type::INT8_ARRAY),
            (&levels, Type::TEXT_ARRAY),
        ],
    )?;
    Ok(())
}

/// Reads a row that has the columns of `load_markets.sql`.
fn known(row: &Row) -> Result<Known, Failure> {
    let record = Record { table: "prediction_markets", row };
    Ok(Known {
        ticker: record.ticker("market_ticker")?,
        status: Status::parse(row.get("status")),
        has_series: row.get("has_series"),
        open_time: record.instant("open_time")?,
        close_time: record.instant("close_time")?,
        settlement_time: record.instant("settlement_time")?,
        ended_at: record.instant("ended_at")?,
        checked_at: record.known_instant("checked_at")?,
        missing_since: record.instant("missing_since")?,
        volume_e2: row.get("volume_e2"),
        seen_at: record.known_instant("observed_at")?,
    })
}

/// Reads a row of `load_watches.sql`.
fn watch(row: &Row) -> Result<WatchRecord, Failure> {
    let record = Record { table: "selection_watches", row };
    let member = |ticker| Ticker::new(ticker).ok_or_else(|| record.damaged("members"));
    Ok(WatchRecord {
        watch: row.get("watch"),
        first_selected_at: record.known_instant("first_selected_at")?,
        resolved_at: record.instant("resolved_at")?,
        synced_at: record.instant("synced_at")?,
        synced_until: record.instant("synced_until")?,
        known_at: record.instant("known_at")?,
        empty_at: record.instant("empty_at")?,
        members: row
            .get::<_, Vec<&str>>("members")
            .into_iter()
            .map(member)
            .collect::<Result<_, _>>()?,
    })
}
