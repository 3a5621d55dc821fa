//! The invariants that must hold at every commit, at the end of every command, and at the end of a history.
//!
//! A claim promises the trades that the exchange showed before the beginning of the walk that made the claim. The
//! overlap of later walks finds the trades that come late.

use std::collections::HashMap;

use kalshi_ingest::domain::batch::{Commit, Receipt};
use kalshi_ingest::domain::page::Guard;
use kalshi_ingest::domain::slice::SliceStatus;
use kalshi_ingest::domain::time::Timestamp;
use rusqlite::{Connection, params};

use crate::history::{BEGINS_AT, Command, MINUTE, SECOND};
use crate::machine::State;
use crate::tables;
use crate::truth::{Known, Truth, side_and_price};

/// The claims in a row of `ingestion_checkpoints`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    from: Option<i64>,
    until: Option<i64>,
    is_walking: bool,
    /// Whether the market was ever read to its end.
    is_level: bool,
    /// Whether the market is retired and no longer read.
    is_retired: bool,
    /// The beginning of the process that opened the present walk.
    walk_began: i64,
}

/// The known state of the database, and the connection to read it.
pub struct Check {
    connection: Connection,
    claims: HashMap<String, Claim>,
    slices: HashMap<(String, i64, i64), i64>,
    /// The distance below a claim from which walks read again, where servers differ between two pages of one walk. The
    /// next walk repairs a hole within this distance.
    pub reread: i64,
    /// Whether lists hide markets. A pass cannot miss a market that was never shown to it, or of which nothing is
    /// claimed yet.
    pub is_hiding: bool,
    /// The staleness that passes allow.
    pub sla: i64,
    /// The selections of all commands, as commands with their flags.
    pub selected: Vec<Command>,
    /// The first violated invariant.
    pub broken: Option<String>,
}

impl Check {
    /// A check that uses this connection.
    pub fn new(connection: Connection) -> Check {
        Check {
            connection,
            claims: HashMap::new(),
            slices: HashMap::new(),
            reread: 0,
            is_hiding: false,
            sla: 0,
            selected: Vec::new(),
            broken: None,
        }
    }

    /// The connection, for the next history.
    pub fn into_connection(self) -> Connection {
        self.connection
    }

    /// Notes a violated invariant.
    pub fn fail(&mut self, what: String) {
        self.broken.get_or_insert(what);
    }

    fn rows(&self) -> rusqlite::Result<Vec<(String, Claim)>> {
        let sql = "select market_ticker, complete_from, complete_until, walk_until is not null, \
                   level_at is not null, retired_at is not null from ingestion_checkpoints";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| {
            let claim = Claim {
                from: instant(row.get_ref(1)?.as_str_or_null()?),
                until: instant(row.get_ref(2)?.as_str_or_null()?),
                is_walking: row.get(3)?,
                is_level: row.get(4)?,
                is_retired: row.get(5)?,
                walk_began: 0,
            };
            Ok((row.get(0)?, claim))
        })?;
        rows.collect()
    }

    /// Compares the claims with the truth, after a commit of a process that began at `began`.
    fn claims(&mut self, truth: &Truth, began: i64, now: i64) {
        let rows = match self.rows() {
            Ok(rows) => rows,
            Err(error) => return self.fail(format!("the checkpoints cannot be read: {error}")),
        };
        for (market, mut claim) in rows {
            let before = self.claims.get(&market).cloned().unwrap_or_default();
            claim.walk_began = match (before.is_walking, claim.is_walking) {
                (true, true) => before.walk_began,
                (false, true) => began,
                (_, false) => 0,
            };
            if claim == before {
                continue;
            }
            if !self.selected.iter().any(|command| command.is_about(&market)) {
                self.fail(format!("{market} is read, and nobody selected it"));
            }
            if claim.until < before.until && !self.is_corrected(&market) {
                self.fail(format!(
                    "{market} was complete until {}, is so until {}, and nobody says why",
                    before.until.map_or("…".to_owned(), at),
                    claim.until.map_or("…".to_owned(), at),
                ));
            }
            let is_moved = claim.until != before.until || claim.from != before.from;
            // Without any stored trade of a market, each walk reads down to the bottom, whatever is claimed, until the
            // market is over.
            let is_read_whole = !claim.is_retired && !truth.has_stored(&market);
            if (is_moved || claim.is_retired) && !is_read_whole {
                // A resumed walk began with the answers of an earlier process.
                let asked = if before.is_walking { before.walk_began.min(began) } else { began };
                let firm = claim.until.map(|until| until - self.reread);
                // A claim without a lower edge begins where the live tier begins.
                let from = claim.from.or_else(|| truth.live_from(now));
                let missing = missing(truth, &market, from, firm, asked);
                if let Some(trade) = missing {
                    self.fail(format!(
                        "{market} claims [{}, {}), and trade {} of {} at {}, shown since {}, is not stored",
                        claim.from.map_or("…".to_owned(), at),
                        claim.until.map_or("…".to_owned(), at),
                        trade.trade.trade_id,
                        trade.trade.ticker,
                        at(trade.trade.created_us),
                        at(trade.shown_at),
                    ));
                }
                self.odd_rows(truth, &market, (from, firm), asked);
            }
            self.claims.insert(market, claim);
        }
    }

    /// Whether a false claim of this market is on record.
    fn is_corrected(&self, market: &str) -> bool {
        let sql = "select count(*) from claim_corrections \
                   where market_ticker = ?1 and claim = 'complete_until'";
        let count: rusqlite::Result<i64> = self
            .connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row(params![market], |row| row.get(0)));
        count.is_ok_and(|count| count > 0)
    }

    /// Checks that the odd rows within a claim are in quarantine.
    fn odd_rows(
        &mut self,
        truth: &Truth,
        market: &str,
        (from, until): (Option<i64>, Option<i64>),
        asked: i64,
    ) {
        let (from, until) = (from.unwrap_or(i64::MIN), until.unwrap_or(i64::MIN));
        let lost = truth.odd(Some(market).filter(|name| *name != "*")).find(|odd| {
            !odd.is_kept && (from..until).contains(&odd.created_us) && odd.shown_at <= asked
        });
        if let Some(odd) = lost {
            self.fail(format!(
                "{market} claims up to {}, and the odd row {} of {} at {}, shown since {}, is not in quarantine",
                at(until),
                odd.tag,
                odd.ticker,
                at(odd.created_us),
                at(odd.shown_at),
            ));
        }
    }

    /// Whether a market was ever read.
    pub fn has_read(&self, market: &str) -> bool {
        self.claims.contains_key(market)
    }

    /// Compares the recorded descriptions of these markets with the exchange's.
    pub fn titles(&mut self, truth: &Truth, markets: &[String]) {
        let sql = "select title from prediction_markets where market_ticker = ?1";
        for market in markets {
            let title = truth.market(market).and_then(|lifespan| lifespan.title.as_deref());
            let Some(title) = title else { continue };
            let on_record: rusqlite::Result<Option<String>> = self
                .connection
                .prepare_cached(sql)
                .and_then(|mut statement| statement.query_row(params![market], |row| row.get(0)));
            if on_record.as_ref().is_ok_and(|row| row.as_deref() == Some(title)) {
                continue;
            }
            self.fail(format!("{market} is called {title:?}, and on record {on_record:?}"));
        }
    }

    /// A number that changes with every write to the database.
    pub fn version(&self) -> i64 {
        let version = self.connection.query_row("pragma data_version", [], |row| row.get(0));
        version.unwrap_or(-1)
    }

    /// Compares the ledger of the backfills with the truth.
    fn slices(&mut self, commit: &Commit, truth: &Truth, began: i64) {
        for slice in commit.slices() {
            let (from, until) = (slice.key.from().micros(), slice.key.until().micros());
            let name = slice.key.scope().as_str().to_owned();
            let asked = *self.slices.entry((name.clone(), from, until)).or_insert(began);
            // A slice read from the live tier is complete only after another look at the archive cutoff.
            let is_read = match slice.status {
                SliceStatus::Open => false,
                SliceStatus::Read => !truth.is_archiving(),
                SliceStatus::Complete => true,
            };
            if is_read
                && !is_group(&name)
                && let Some(trade) = missing(truth, &name, Some(from), Some(until), asked)
            {
                self.fail(format!(
                    "slice {name} [{}, {}) is read, and trade {} at {} is not stored",
                    at(from),
                    at(until),
                    trade.trade.trade_id,
                    at(trade.trade.created_us)
                ));
            }
        }
    }

    /// Compares the slices that are complete on record with the truth.
    pub fn complete_slices(&mut self, truth: &Truth) {
        let sql = "select market_ticker, window_from, window_until from ingestion_windows \
                   where status = 'complete'";
        let read = || -> rusqlite::Result<Vec<Span>> {
            let mut statement = self.connection.prepare_cached(sql)?;
            let rows = statement.query_map([], |row| {
                let from = instant(row.get_ref(1)?.as_str_or_null()?);
                Ok((row.get(0)?, from, instant(row.get_ref(2)?.as_str_or_null()?)))
            })?;
            rows.collect()
        };
        let rows = match read() {
            Ok(rows) => rows,
            Err(error) => return self.fail(format!("the slices cannot be read: {error}")),
        };
        for (name, from, until) in rows.into_iter().filter(|(name, ..)| !is_group(name)) {
            let key = (name.clone(), from.unwrap_or(i64::MIN), until.unwrap_or(i64::MIN));
            let Some(asked) = self.slices.get(&key) else { continue };
            if let Some(trade) = missing(truth, &name, from, until, *asked) {
                self.fail(format!(
                    "slice {name} [{}, {}) is complete, and trade {} at {} is not stored",
                    at(key.1),
                    at(key.2),
                    trade.trade.trade_id,
                    at(trade.trade.created_us)
                ));
            }
        }
    }

    /// A market that scored less than 1 in the last scoring, although nothing explains it.
    pub fn low_score(&self, truth: &Truth) -> Option<String> {
        let sql = "select market_ticker from completeness_scores \
                   where score < 1 and scored_at = (select max(scored_at) from completeness_scores)";
        let mut statement = self.connection.prepare_cached(sql).ok()?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).ok()?;
        rows.flatten().find(|market| !truth.is_counted_otherwise(market))
    }

    /// The greatest age of a shown trade that a pass may lack and still report "fresh". The report may be false by one
    /// SLA, and it takes five passes to recognize a feed that stands still.
    pub fn unseen_max(&self) -> i64 {
        let known_after = if self.reread > 0 { 6 * MINUTE } else { 0 };
        self.sla + self.sla.max(known_after)
    }

    /// Checks the trades of these markets that a pass which reports "fresh" must have stored. The selection was first
    /// read to its end at `since`.
    pub fn fresh(&mut self, truth: &Truth, markets: &[String], since: i64, now: i64) {
        let unseen_max = self.unseen_max();
        for market in markets {
            let claim = self.claims.get(market);
            // A market that was never level is behind, and not stale.
            let is_unclaimed = claim.is_none_or(|claim| claim.until.is_none());
            let is_hidden = self.is_hiding && (is_unclaimed || !truth.has_stored(market));
            let is_new = is_hidden || claim.is_none() && now < since + unseen_max;
            if is_new || claim.is_some_and(|claim| !claim.is_level) {
                continue;
            }
            let from = claim.and_then(|claim| claim.from).or_else(|| truth.live_from(now));
            let from = from.unwrap_or(i64::MIN);
            let is_late = |known: &&Known| {
                !known.is_stored
                    && known.shown_at <= now - unseen_max
                    && known.trade.created_us >= from
            };
            let market_name = Some(market.as_str()).filter(|name| *name != "*");
            if let Some(trade) = truth.of(market_name).find(is_late) {
                self.fail(format!(
                    "{market} is said to be fresh, and trade {} at {}, shown since {}, is not stored",
                    trade.trade.trade_id,
                    at(trade.trade.created_us),
                    at(trade.shown_at)
                ));
            }
        }
    }

    /// Checks that the trades of these markets are stored at the end; for the tape, those from the beginning of its
    /// claim.
    pub fn whole(&mut self, truth: &Truth, markets: &[String], shown_by: i64) {
        for market in markets {
            let name = Some(market.as_str()).filter(|name| *name != "*");
            let claim = self.claims.get(market);
            let from = claim.and_then(|claim| claim.from).or_else(|| truth.live_from(shown_by));
            let from = from.unwrap_or(i64::MIN);
            let missing = truth.of(name).find(|known| {
                !known.is_stored && known.shown_at <= shown_by && known.trade.created_us >= from
            });
            if let Some(trade) = missing {
                self.fail(format!(
                    "three passes after the trouble {market} still lacks trade {} at {}, shown since {}",
                    trade.trade.trade_id,
                    at(trade.trade.created_us),
                    at(trade.shown_at)
                ));
            }
        }
    }

    /// Compares every stored row with the exchange's trades.
    pub fn rows_are_true(&mut self, truth: &Truth) {
        if let Err(error) = self.try_rows(truth) {
            self.fail(format!("the trades cannot be read: {error}"));
        }
    }

    fn try_rows(&mut self, truth: &Truth) -> rusqlite::Result<()> {
        let sql = "select trade_id, market_ticker, side, price_e4, quantity_e2, traded_at \
                   from prediction_market_trades";
        let mut wrong = None;
        {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query([])?;
            let mut count = 0;
            while let Some(row) = rows.next()? {
                count += 1;
                let id = row.get_ref(0)?.as_str()?;
                let Some(known) = truth.get(id) else {
                    wrong = Some(format!("trade {id} is stored, and the exchange has none"));
                    break;
                };
                // The values that were stored first stay, whatever the exchange shows later.
                let trade = known.stored();
                let (side, price) = side_and_price(trade);
                let is_same = row.get_ref(1)?.as_str()? == trade.ticker
                    && row.get_ref(2)?.as_str()? == side
                    && row.get::<_, i64>(3)? == price
                    && u64::try_from(row.get::<_, i64>(4)?) == Ok(trade.count_e2)
                    && instant(Some(row.get_ref(5)?.as_str()?)) == Some(trade.created_us);
                if !is_same {
                    wrong = Some(format!("trade {id} is stored with other values than it has"));
                    break;
                }
            }
            let known = truth.of(None).filter(|known| known.is_stored).count();
            if wrong.is_none() && count != known {
                wrong = Some(format!("{count} trades are stored, and {known} were committed"));
            }
            wrong = wrong.or(tables::kept_twice(&self.connection)?);
            wrong = wrong.or(tables::miscounted(&self.connection)?);
        }
        if let Some(wrong) = wrong {
            self.fail(wrong);
        }
        Ok(())
    }

    /// Whether the last walk of a market stopped at a span without trades in which some had to be expected. The pass
    /// has to report this.
    pub fn is_at_a_hole(&self) -> bool {
        let sql = "select count(*) from ingestion_checkpoints where retired_at is null and failures > 0 and last_error = ?1";
        let reason = Guard::Hole.to_string();
        let count = self.connection.prepare_cached(sql).and_then(|mut statement| {
            statement.query_row(params![reason], |row| row.get::<_, i64>(0))
        });
        count.is_ok_and(|count| count > 0)
    }

    /// The beginning of the tape's claim.
    pub fn tape_from(&self) -> Option<i64> {
        self.claims.get("*").and_then(|claim| claim.from)
    }

    /// The number of rows of a table.
    pub fn count(&self, table: &str) -> u64 {
        let sql = format!("select count(*) from {table}");
        let count = self
            .connection
            .prepare_cached(&sql)
            .and_then(|mut statement| statement.query_row(params![], |row| row.get::<_, i64>(0)));
        count.ok().and_then(|count| u64::try_from(count).ok()).unwrap_or(0)
    }
}

/// A market and a span of time.
type Span = (String, Option<i64>, Option<i64>);

/// Whether a row of the ledger is of the tape read for some markets.
fn is_group(name: &str) -> bool {
    name.len() > 1 && name.starts_with('*')
}

/// The first trade that a claim promises and that is missing.
fn missing<'t>(
    truth: &'t Truth,
    market: &str,
    from: Option<i64>,
    until: Option<i64>,
    asked: i64,
) -> Option<&'t Known> {
    let (from, until) = (from.unwrap_or(i64::MIN), until?);
    truth.of(Some(market).filter(|name| *name != "*")).find(|known| {
        let created = known.trade.created_us;
        !known.is_stored && from <= created && created < until && known.shown_at <= asked
    })
}

/// A time from the database.
fn instant(text: Option<&str>) -> Option<i64> {
    Timestamp::parse_rfc3339(text?).map(Timestamp::micros)
}

/// A time in the format of the story.
pub fn at(us: i64) -> String {
    let since = us - BEGINS_AT;
    let (sign, since) = if since < 0 { ("-", -since) } else { ("", since) };
    format!("{sign}{}:{:02}.{:06}", since / 60_000_000, since / SECOND % 60, since % SECOND)
}

impl State {
    /// Checks a commit of a process.
    pub fn committed(&mut self, process: usize, commit: &Commit, receipt: &Receipt) {
        let (rows, now) = (commit.rows(), self.now);
        for place in &receipt.inserted {
            if let Err(wrong) = self.truth.store(&rows[*place].event.trade, now) {
                self.check.fail(wrong);
            }
        }
        for place in &receipt.rejected {
            let is_odd = self.truth.keep(&commit.rejected()[*place].payload);
            self.counts.one(if is_odd { "odd rows kept" } else { "garbage kept" });
        }
        let it = &mut self.processes[process];
        let began = it.started_at;
        it.rows_in_hand = 0;
        let count = |len: usize| u64::try_from(len).unwrap_or(u64::MAX);
        self.counts.one("commits");
        self.counts.more("trades stored", count(receipt.inserted.len()));
        self.counts.more("checkpoints overtaken", count(receipt.overtaken.len()));
        self.counts.more("conflicts kept", count(receipt.conflicting.len()));
        self.record.note(count(receipt.inserted.len()));
        self.record.note(count(commit.checkpoints().len()));
        self.record.tell(
            now,
            format_args!(
                "  [{process}] commits {} rows, {} of them new, and {} checkpoints",
                rows.len(),
                receipt.inserted.len(),
                commit.checkpoints().len()
            ),
        );
        self.check.claims(&self.truth, began, now);
        self.check.slices(commit, &self.truth, began);
    }
}
