//! The plan of `export`.

use std::path::Path;
use std::time::Duration;

use super::plan::{ExportPlan, Place, Task};
use super::selected;
use crate::cli::{DatabaseArgs, ExportArgs, ExportFormat, ExportTable, PartitionBy};
use crate::dataset;
use crate::domain::export::{Format, Partition, Table};
use crate::domain::time::Timestamp;
use crate::failure::Failure;
use crate::kalshi::VENUE;

const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn export(
    args: ExportArgs,
    now: Timestamp,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<(DatabaseArgs, Task), Failure> {
    let ExportArgs {
        directory,
        format,
        partition_by,
        table,
        from,
        to,
        selection,
        database,
        log: _,
    } = args;
    let until = to.unwrap_or(now);
    if from.is_some_and(|from| from >= until) {
        return Err(Failure::config("--to is not after --from; the window is empty"));
    }
    if from.is_some_and(|from| from < VENUE.first_trades) {
        return Err(Failure::config("--from lies before 2021, when there was nothing to trade"));
    }
    if until > now {
        return Err(Failure::config("--to lies in the future; nothing is there yet"));
    }
    let plan = ExportPlan {
        table: match table {
            ExportTable::Trades => Table::Trades,
            ExportTable::Markets => Table::Markets,
            ExportTable::Orderbooks => Table::Orderbooks,
            ExportTable::RawEvents => Table::RawEvents,
        },
        format: match format {
            ExportFormat::Csv => Format::Csv,
            ExportFormat::Jsonl => Format::Jsonl,
            ExportFormat::Parquet => Format::Parquet,
        },
        partition: match partition_by {
            PartitionBy::Day => Partition::Day,
            PartitionBy::Market => Partition::Market,
        },
        place: match directory {
            directory if directory == Path::new("-") => Place::Stdout,
            directory => Place::Directory(directory),
        },
        from: from.map(Timestamp::floor),
        until: to.map_or(now.floor(), Timestamp::ceil),
        // Nobody asked for a part of the present day by name, and it is never complete.
        judged_until: to.map_or(now.floor_to(DAY), Timestamp::ceil),
        selection: selected(&selection, environment)?,
    };
    if !dataset::can_write(plan.format) {
        return Err(Failure::config(
            "this build has no Parquet; use --format csv, or build it with `--features parquet`",
        ));
    }
    if (plan.table, plan.partition) == (Table::RawEvents, Partition::Market) {
        return Err(Failure::config(
            "raw events are found by their time and not by their market; use --partition-by day",
        ));
    }
    Ok((database, Task::Export(plan)))
}
