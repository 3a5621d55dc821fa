//! Makes the views in SQLite.

use rusqlite::{Connection, OptionalExtension as _};

use crate::store::views::{Holder, MARK, View, views, warn_of};

const VIEWS: &[View] = views!("sqlite");

/// The attempt, for errors.
pub(super) const WHAT: &str = "making the views";

/// Removes our views. A step may change columns that they read.
pub(super) fn remove(connection: &Connection) -> rusqlite::Result<()> {
    for view in VIEWS {
        if holder(connection, view)? == Holder::Ours {
            connection.execute_batch(&format!("drop view {}", view.name))?;
        }
    }
    Ok(())
}

/// Makes the views that do not exist.
pub(super) fn make(connection: &Connection) -> rusqlite::Result<()> {
    for view in VIEWS {
        match holder(connection, view)? {
            Holder::Nobody => connection.execute_batch(view.sql)?,
            Holder::Ours => {}
            Holder::Foreign => warn_of(view.name),
        }
    }
    Ok(())
}

/// Tables, indexes, views and triggers share their names, in any case of letters.
fn holder(connection: &Connection, view: &View) -> rusqlite::Result<Holder> {
    let found = "select type = 'view' and instr(sql, ?2) > 0 from sqlite_schema where name = ?1 collate nocase";
    let is_ours =
        connection.query_row(found, [view.name, MARK], |row| row.get::<_, bool>(0)).optional()?;
    Ok(match is_ours {
        None => Holder::Nobody,
        Some(true) => Holder::Ours,
        Some(false) => Holder::Foreign,
    })
}
