//! The selection on record: the entries, their members, and the names that the exchange refuses.

use std::time::Duration;

use super::engine::{Access, Engine, Work, only, statement};
use super::handles::RunId;
use super::rows::Row;
use super::value::{Rows, Value, values};
use crate::domain::market::{FalseMark, Refusal, WatchChange, WatchRecord};
use crate::domain::selection::{Target, Watch};
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::failure::Failure;

/// The lock of a transaction that compares the selection with the record and writes the changes: one at a time.
const WATCHES: &str = "watches";

/// The age at which the note of a selected entry is renewed: far below the age at which an entry counts as removed.
const NOTED_AGAIN_AFTER: Duration = Duration::from_secs(300);

/// The part of a store that is about the selection. No call takes more round trips for more entries.
pub trait Watches {
    /// The records of these entries of the selection, in any order. An entry without a record gets one, first selected
    /// at `now`.
    fn watches(&mut self, names: &[String], now: Timestamp) -> Result<Vec<WatchRecord>, Failure>;

    /// The existing records of these entries, in any order. Nothing is written: a role that may only read can call
    /// this.
    fn watches_on_record(&mut self, names: &[String]) -> Result<Vec<WatchRecord>, Failure>;

    /// Saves the new facts about entries, in one transaction.
    fn save_watches(&mut self, changes: &[WatchChange]) -> Result<(), Failure>;

    /// Deletes the mark of a sync if it is still the one on record, and records the reason in the same transaction.
    /// Returns whether it was deleted.
    fn lower_mark(&mut self, mark: &FalseMark, run: RunId, now: Timestamp)
    -> Result<bool, Failure>;

    /// The names among these that the exchange refused, in any order. Reads only.
    fn refusals(&mut self, names: &[String]) -> Result<Vec<Refusal>, Failure>;

    /// Records the names that the exchange refuses now, and deletes the refusals of those that it accepts again, in
    /// one transaction. A refused name that was never known is no longer an entry, and a refused market without any
    /// read trade retires.
    fn save_refusals(
        &mut self,
        refused: &[String],
        lifted: &[String],
        now: Timestamp,
    ) -> Result<(), Failure>;

    /// Whether anything is stored of this target. Reads only.
    fn is_on_record(&mut self, target: &Target) -> Result<bool, Failure>;

    /// Notes the selection of a pass, each entry with its SLA.
    fn note_selection(&mut self, watches: &[Watch], now: Timestamp) -> Result<(), Failure>;
}

impl<E: Engine> Watches for E {
    fn watches(&mut self, names: &[String], now: Timestamp) -> Result<Vec<WatchRecord>, Failure> {
        self.transact("recording the selection", Access::One, |work| {
            let known = load(work, names)?;
            if known.len() == names.len() {
                return Ok(known);
            }
            work.execute(
                statement!("watches", "select_watches"),
                &values![work.source(), names, now],
            )?;
            load(work, names)
        })
    }

    fn watches_on_record(&mut self, names: &[String]) -> Result<Vec<WatchRecord>, Failure> {
        self.transact("loading the selection", Access::Read, |work| load(work, names))
    }

    fn save_watches(&mut self, changes: &[WatchChange]) -> Result<(), Failure> {
        let learnt: Rows<'_> = changes.iter().map(learnt).collect();
        let joined = members(changes, |change| &change.joined);
        let left = members(changes, |change| &change.left);
        self.transact("storing the selection", Access::Alone(WATCHES), |work| {
            let source = values![work.source()];
            work.execute_each(statement!("watches", "update_watches"), &source, &learnt, &[])?;
            work.execute_each(statement!("watches", "insert_members"), &source, &joined, &[])?;
            work.execute_each(statement!("watches", "delete_members"), &source, &left, &[])?;
            Ok(())
        })
    }

    fn lower_mark(
        &mut self,
        mark: &FalseMark,
        run: RunId,
        now: Timestamp,
    ) -> Result<bool, Failure> {
        let FalseMark { watch, claimed, reason } = mark;
        self.transact("lowering a false mark", Access::Write, |work| {
            let marked = values![work.source(), watch, *claimed];
            let is_lowered = work.execute(statement!("watches", "lower_mark"), &marked)? > 0;
            if is_lowered {
                let noted = values![work.source(), watch, *claimed, *reason, run, now];
                work.execute(statement!("watches", "note_lowered_mark"), &noted)?;
            }
            Ok(is_lowered)
        })
    }

    fn refusals(&mut self, names: &[String]) -> Result<Vec<Refusal>, Failure> {
        let refusal = |row: Row<'_>| {
            let record = row.of("refused_names");
            Ok(Refusal {
                name: record.get("name")?,
                first_refused_at: record.get("first_refused_at")?,
                checked_at: record.get("checked_at")?,
            })
        };
        let names = values![self.source(), names];
        self.read("loading refused names", statement!("watches", "load_refused"), &names, refusal)
    }

    fn save_refusals(
        &mut self,
        refused: &[String],
        lifted: &[String],
        now: Timestamp,
    ) -> Result<(), Failure> {
        let refused: Rows<'_> = refused.iter().map(|name| values![name]).collect();
        let lifted: Rows<'_> = lifted.iter().map(|name| values![name]).collect();
        let (source, now) = (values![self.source()], values![now]);
        self.transact("storing refused names", Access::Alone(WATCHES), |work| {
            work.execute_each(statement!("watches", "refuse_name"), &source, &refused, &now)?;
            work.execute_each(statement!("watches", "forget_watch"), &source, &refused, &[])?;
            work.execute_each(statement!("watches", "retire_refused"), &source, &refused, &now)?;
            work.execute_each(statement!("watches", "lift_refusal"), &source, &lifted, &[])?;
            Ok(())
        })
    }

    fn is_on_record(&mut self, target: &Target) -> Result<bool, Failure> {
        let name = values![self.source(), target.kind(), target.label()];
        only(self.read(
            "looking for a name",
            statement!("watches", "is_on_record"),
            &name,
            |row| row.of("prediction_markets").get("is_on_record"),
        )?)
    }

    fn note_selection(&mut self, watches: &[Watch], now: Timestamp) -> Result<(), Failure> {
        let selected = watches.iter();
        let rows: Rows<'_> =
            selected.map(|watch| values![watch.target.name(), watch.sla.as_secs_f64()]).collect();
        self.transact("noting the selection", Access::One, |work| {
            let after = values![now, now.before(NOTED_AGAIN_AFTER)];
            work.execute_each(
                statement!("watches", "note_selection"),
                &values![work.source()],
                &rows,
                &after,
            )?;
            Ok(())
        })
    }
}

pub(super) fn load(work: &mut dyn Work, names: &[String]) -> Result<Vec<WatchRecord>, Failure> {
    work.rows(statement!("watches", "load_watches"), &values![work.source(), names], watch)
}

/// The values of a change.
fn learnt(change: &WatchChange) -> [Value<'_>; 6] {
    let (synced_at, synced_until) = change.synced.unzip();
    values![
        &change.watch,
        change.resolved_at,
        synced_at,
        synced_until.flatten(),
        change.known_at,
        change.empty_at,
    ]
}

/// Each member with its entry.
fn members(changes: &[WatchChange], of: fn(&WatchChange) -> &[Ticker]) -> Rows<'_> {
    let pairs = changes
        .iter()
        .flat_map(|change| of(change).iter().map(move |market| values![&change.watch, market]));
    pairs.collect()
}

/// Reads a row of `load_watches.sql`.
fn watch(row: Row<'_>) -> Result<WatchRecord, Failure> {
    let record = row.of("selection_watches");
    Ok(WatchRecord {
        watch: record.get("watch")?,
        first_selected_at: record.get("first_selected_at")?,
        resolved_at: record.get("resolved_at")?,
        synced_at: record.get("synced_at")?,
        synced_until: record.get("synced_until")?,
        known_at: record.get("known_at")?,
        empty_at: record.get("empty_at")?,
        members: record.tickers("members")?,
    })
}
