//! What SQLite keeps of markets, of what was selected, and of order books.

use rusqlite::{Params, Row, params};

use super::rows::{Record, checkpoint, integer, text};
use super::transaction::Transaction;
use super::{SqliteStore, because, markets};
use crate::domain::backfill::Life;
use crate::domain::book::Snapshot;
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

impl SqliteStore {
    fn load_markets(&self, sql: &str, parameters: impl Params) -> Result<Vec<Known>, Failure> {
        self.read("loading markets", sql, parameters, known)
    }
}

impl Catalogue for SqliteStore {
    fn watches(&mut self, names: &[String], now: Timestamp) -> Result<Vec<WatchRecord>, Failure> {
        let known = self.watches_on_record(names)?;
        if known.len() == names.len() {
            return Ok(known);
        }
        let list = serde_json::Value::from(names).to_string();
        let sql = include_str!("../../../sql/sqlite/select_watches.sql");
        self.execute("recording the selection", sql, params![SOURCE, list, now.to_string()])?;
        self.watches_on_record(names)
    }

    fn watches_on_record(&mut self, names: &[String]) -> Result<Vec<WatchRecord>, Failure> {
        let list = serde_json::Value::from(names).to_string();
        let sql = include_str!("../../../sql/sqlite/load_watches.sql");
        self.read("loading the selection", sql, params![SOURCE, list], watch)
    }

    fn save_watches(&mut self, changes: &[WatchChange]) -> Result<(), Failure> {
        self.write("storing the selection", |transaction| update_watches(transaction, changes))
    }

    fn lower_mark(
        &mut self,
        mark: &FalseMark,
        run: RunId,
        now: Timestamp,
    ) -> Result<bool, Failure> {
        let FalseMark { watch, claimed, reason } = mark;
        let (claimed, now) = (claimed.to_string(), now.to_string());
        self.write("lowering a false mark", |transaction| {
            let lower = include_str!("../../../sql/sqlite/lower_mark.sql");
            let mut lower = transaction.prepare_cached(lower)?;
            let is_lowered = lower.execute(params![SOURCE, watch, claimed])? > 0;
            if is_lowered {
                let note = include_str!("../../../sql/sqlite/note_lowered_mark.sql");
                let parameters = params![SOURCE, watch, claimed, reason, run, now];
                transaction.prepare_cached(note)?.execute(parameters)?;
            }
            Ok(is_lowered)
        })
    }

    fn newest_trade(&mut self, until: Timestamp) -> Result<Option<Timestamp>, Failure> {
        let sql = include_str!("../../../sql/sqlite/newest_trade.sql");
        let newest = self.read(
            "reading the newest trade",
            sql,
            params![SOURCE, until.to_string()],
            |row| Record { table: "ingestion_checkpoints", row }.instant("traded_at"),
        )?;
        Ok(newest.into_iter().flatten().next())
    }

    fn refusals(&mut self, names: &[String]) -> Result<Vec<Refusal>, Failure> {
        let list = serde_json::Value::from(names).to_string();
        let sql = include_str!("../../../sql/sqlite/load_refused.sql");
        self.read("loading refused names", sql, params![SOURCE, list], |row| {
            let record = Record { table: "refused_names", row };
            Ok(Refusal {
                name: record.get("name")?,
                first_refused_at: record.known_instant("first_refused_at")?,
                checked_at: record.known_instant("checked_at")?,
            })
        })
    }

    fn save_refusals(
        &mut self,
        refused: &[String],
        lifted: &[String],
        now: Timestamp,
    ) -> Result<(), Failure> {
        let now = now.to_string();
        self.write("storing refused names", |transaction| {
            for name in refused {
                let sql = include_str!("../../../sql/sqlite/refuse_name.sql");
                transaction.prepare_cached(sql)?.execute(params![SOURCE, name, now])?;
                let sql = include_str!("../../../sql/sqlite/forget_watch.sql");
                transaction.prepare_cached(sql)?.execute(params![SOURCE, name])?;
                let sql = include_str!("../../../sql/sqlite/retire_refused.sql");
                transaction.prepare_cached(sql)?.execute(params![SOURCE, name, now])?;
            }
            for name in lifted {
                let sql = include_str!("../../../sql/sqlite/lift_refusal.sql");
                transaction.prepare_cached(sql)?.execute(params![SOURCE, name])?;
            }
            Ok(())
        })
    }

    fn is_on_record(&mut self, target: &Target) -> Result<bool, Failure> {
        let sql = include_str!("../../../sql/sqlite/is_on_record.sql");
        self.ask(sql, params![SOURCE, target.kind(), target.label()], |row| row.get(0))
            .map_err(because("looking for a name"))
    }

    fn checkpoints_on_record(&mut self, markets: &[Ticker]) -> Result<Vec<Checkpoint>, Failure> {
        let markets: Vec<&str> = markets.iter().map(Ticker::as_str).collect();
        let list = serde_json::Value::from(markets).to_string();
        let sql = include_str!("../../../sql/sqlite/load_checkpoints.sql");
        self.read("loading checkpoints", sql, params![SOURCE, list], checkpoint)
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
                (include_str!("../../../sql/sqlite/load_over_series.sql"), series)
            }
            Scope::Event(event) => (include_str!("../../../sql/sqlite/load_over_event.sql"), event),
        };
        let parameters = params![SOURCE, of, ended_after.to_string(), integer(count_max)];
        self.load_markets(sql, parameters)
    }

    fn series_of_events(&mut self, events: &[Box<str>]) -> Result<Vec<EventRecord>, Failure> {
        let events: Vec<&str> = events.iter().map(|event| &**event).collect();
        let list = serde_json::Value::from(events).to_string();
        let sql = include_str!("../../../sql/sqlite/series_of_events.sql");
        self.read("looking for events", sql, params![SOURCE, list], |row| {
            let record = Record { table: "prediction_events", row };
            Ok(EventRecord {
                event: record.get("event_ticker")?,
                series: record.get("series_ticker")?,
                title: record.get("title")?,
            })
        })
    }

    fn known_markets(&mut self, tickers: &[Ticker]) -> Result<Vec<Known>, Failure> {
        let tickers: Vec<&str> = tickers.iter().map(Ticker::as_str).collect();
        let tickers = serde_json::Value::from(tickers).to_string();
        let sql = include_str!("../../../sql/sqlite/load_markets.sql");
        self.load_markets(sql, params![SOURCE, tickers])
    }

    fn unsettled_markets(&mut self, scope: Scope<'_>) -> Result<Vec<Known>, Failure> {
        match scope {
            Scope::All => self.load_markets(
                include_str!("../../../sql/sqlite/load_unsettled.sql"),
                params![SOURCE],
            ),
            Scope::Series(series) => self.load_markets(
                include_str!("../../../sql/sqlite/load_unsettled_series.sql"),
                params![SOURCE, series],
            ),
            Scope::Event(event) => self.load_markets(
                include_str!("../../../sql/sqlite/load_unsettled_event.sql"),
                params![SOURCE, event],
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
        let only = only.map(|only| {
            let only: Vec<&str> = only.iter().map(Ticker::as_str).collect();
            serde_json::Value::from(only).to_string()
        });
        let life = |row: &Row<'_>| {
            let record = Record { table: "prediction_markets", row };
            Ok(Life {
                market: record.ticker("market_ticker")?,
                series: record.get("series_ticker")?,
                open_time: record.instant("open_time")?,
                close_time: record.instant("close_time")?,
                status: Status::parse(&record.get::<String>("status")?),
                volume_e2: record.get("volume_e2")?,
                seen_at: record.instant("observed_at")?,
            })
        };
        let sql = include_str!("../../../sql/sqlite/load_lives.sql");
        let (from, until) = (from.to_string(), until.to_string());
        self.read("loading markets", sql, params![SOURCE, series, event, from, until, only], life)
    }

    fn save_markets(
        &mut self,
        seen: &[Sighting],
        absent: &[Absence],
        now: Timestamp,
    ) -> Result<u64, Failure> {
        let now = now.to_string();
        let changed = self.write("storing markets", |transaction| {
            Ok(markets::miss(transaction, absent, &now)? + markets::see(transaction, seen, &now)?)
        })?;
        Ok(u64::try_from(changed).unwrap_or(u64::MAX))
    }

    fn events_without_series(&mut self) -> Result<Vec<Box<str>>, Failure> {
        let sql = include_str!("../../../sql/sqlite/events_without_series.sql");
        self.read("looking for events without a series", sql, params![SOURCE], |row| {
            Record { table: "prediction_markets", row }.get("event_ticker")
        })
    }

    fn save_events(&mut self, events: &[EventRecord], now: Timestamp) -> Result<(), Failure> {
        let now = now.to_string();
        self.write("storing events", |transaction| store_events(transaction, events, &now))
    }

    fn save_books(&mut self, books: &[Snapshot]) -> Result<(), Failure> {
        self.write("storing order books", |transaction| insert_books(transaction, books))
    }

    fn tape_rate(&mut self) -> Result<Option<f64>, Failure> {
        self.ask(include_str!("../../../sql/sqlite/tape_rate.sql"), [], |row| row.get("rate"))
            .map_err(because("reading how busy the tape is"))
    }
}

fn update_watches(transaction: &Transaction<'_>, changes: &[WatchChange]) -> rusqlite::Result<()> {
    let mut update =
        transaction.prepare_cached(include_str!("../../../sql/sqlite/update_watches.sql"))?;
    let mut insert =
        transaction.prepare_cached(include_str!("../../../sql/sqlite/insert_members.sql"))?;
    let mut delete =
        transaction.prepare_cached(include_str!("../../../sql/sqlite/delete_members.sql"))?;
    for change in changes {
        update.execute(params![
            SOURCE,
            change.watch,
            text(change.resolved_at),
            text(change.synced.map(|(at, _)| at)),
            text(change.synced.and_then(|(_, until)| until)),
            text(change.known_at),
            text(change.empty_at),
        ])?;
        for market in &change.joined {
            insert.execute(params![SOURCE, change.watch, market.as_str()])?;
        }
        for market in &change.left {
            delete.execute(params![SOURCE, change.watch, market.as_str()])?;
        }
    }
    Ok(())
}

fn store_events(
    transaction: &Transaction<'_>,
    events: &[EventRecord],
    now: &str,
) -> rusqlite::Result<()> {
    let mut store =
        transaction.prepare_cached(include_str!("../../../sql/sqlite/store_events.sql"))?;
    let mut name =
        transaction.prepare_cached(include_str!("../../../sql/sqlite/name_series.sql"))?;
    for event in events {
        let (ticker, series) = (storable(&event.event), storable(&event.series));
        let title = event.title.as_deref().map(storable);
        store.execute(params![SOURCE, ticker, series, title, now])?;
        name.execute(params![SOURCE, ticker, series, now])?;
    }
    Ok(())
}

fn insert_books(transaction: &Transaction<'_>, books: &[Snapshot]) -> rusqlite::Result<()> {
    let mut insert =
        transaction.prepare_cached(include_str!("../../../sql/sqlite/insert_books.sql"))?;
    for book in books {
        let figures = &book.figures;
        let [buy_100, buy_1000] = figures.slippage_buy_e9;
        let [sell_100, sell_1000] = figures.slippage_sell_e9;
        insert.execute(params![
            SOURCE,
            book.market.as_str(),
            book.captured_at.to_string(),
            figures.best_yes_bid.map(Price::e4_cents),
            figures.best_yes_ask.map(Price::e4_cents),
            figures.best_no_bid.map(Price::e4_cents),
            figures.best_no_ask.map(Price::e4_cents),
            figures.spread_e4,
            figures.yes_depth_e2,
            figures.no_depth_e2,
            buy_100,
            sell_100,
            buy_1000,
            sell_1000,
            &*book.levels,
        ])?;
    }
    Ok(())
}

/// Reads a row that has the columns of `load_markets.sql`.
fn known(row: &Row<'_>) -> Result<Known, Failure> {
    let record = Record { table: "prediction_markets", row };
    Ok(Known {
        ticker: record.ticker("market_ticker")?,
        status: Status::parse(&record.get::<String>("status")?),
        has_series: record.get("has_series")?,
        open_time: record.instant("open_time")?,
        close_time: record.instant("close_time")?,
        settlement_time: record.instant("settlement_time")?,
        ended_at: record.instant("ended_at")?,
        checked_at: record.known_instant("checked_at")?,
        missing_since: record.instant("missing_since")?,
        volume_e2: record.get("volume_e2")?,
        seen_at: record.known_instant("observed_at")?,
    })
}

/// Reads a row of `load_watches.sql`.
fn watch(row: &Row<'_>) -> Result<WatchRecord, Failure> {
    let record = Record { table: "selection_watches", row };
    let members: Vec<String> = serde_json::from_str(&record.get::<String>("members")?)
        .map_err(|error| record.damaged("members").because(error))?;
    let member = |ticker: &String| Ticker::new(ticker).ok_or_else(|| record.damaged("members"));
    Ok(WatchRecord {
        watch: record.get("watch")?,
        first_selected_at: record.known_instant("first_selected_at")?,
        resolved_at: record.instant("resolved_at")?,
        synced_at: record.instant("synced_at")?,
        synced_until: record.instant("synced_until")?,
        known_at: record.instant("known_at")?,
        empty_at: record.instant("empty_at")?,
        members: members.iter().map(member).collect::<Result<_, _>>()?,
    })
}
