//! Makes the views in PostgreSQL, with the remarks on them and on the tables.

use postgres::Error;
use postgres::types::Type;

use super::because;
use super::transaction::Transaction;
use crate::failure::Failure;
use crate::store::views::{Holder, MARK, View, views, warn_of};

const VIEWS: &[View] = views!("postgres");

/// The remarks on tables and their columns, which psql and other tools show.
const REMARKS: &str = include_str!("../../../sql/postgres/remarks.sql");

/// The attempt, for errors.
pub(super) const WHAT: &str = "making the views";

/// The holders of these names in the schema of the tables, and whether we may make views there. A type takes the name
/// of a view as well.
const HOLDERS: &str = "select
        exists (select from pg_class c where c.relname = v.name and c.relnamespace = n.oid)
            or exists (select from pg_type t where t.typname = v.name and t.typnamespace = n.oid) as is_taken,
        exists (
            select from pg_class c
            where c.relname = v.name and c.relnamespace = n.oid and c.relkind = 'v'
                and starts_with(obj_description(c.oid, 'pg_class'), $2)
        ) as is_ours,
        has_schema_privilege(n.oid, 'create') as may_make
    from unnest($1::text[]) with ordinality as v (name, place)
    join pg_namespace n on n.nspname = current_schema()
    order by v.place";

/// The state of all views.
pub(super) struct Found {
    views: Vec<(&'static View, Holder)>,
    may_make: bool,
}

impl Found {
    /// Asks the database.
    pub(super) fn all(transaction: &mut Transaction<'_>) -> Result<Found, Error> {
        let names: Vec<&str> = VIEWS.iter().map(|view| view.name).collect();
        let rows =
            transaction.query_typed(HOLDERS, &[(&names, Type::TEXT_ARRAY), (&MARK, Type::TEXT)])?;
        let holder = |row: &postgres::Row| match (row.get("is_taken"), row.get("is_ours")) {
            (false, _) => Holder::Nobody,
            (true, true) => Holder::Ours,
            (true, false) => Holder::Foreign,
        };
        Ok(Found {
            views: VIEWS.iter().zip(rows.iter().map(holder)).collect(),
            may_make: rows.iter().all(|row| row.get("may_make")),
        })
    }

    /// Whether a view is to be made and may be made; warns of those that cannot. `anew`: also those that exist.
    pub(super) fn is_to_be_made(&self, anew: bool) -> bool {
        let open = || self.views.iter().filter(|(_, holder)| holder.is_to_be_made(anew));
        for (view, holder) in &self.views {
            if *holder == Holder::Foreign {
                warn_of(view.name);
            } else if holder.is_to_be_made(anew) && !self.may_make {
                log::warn!(
                    "the view {} is missing, and this role may not make it; run `kalshi-ingest migrate` as the owner \
                     of the tables",
                    view.name
                );
            }
        }
        self.may_make && open().next().is_some()
    }
}

/// Makes the views that do not exist, or all of ours anew, with the remarks.
pub(super) fn make(transaction: &mut Transaction<'_>, anew: bool) -> Result<(), Failure> {
    let found = Found::all(transaction).map_err(because(WHAT))?;
    for (view, holder) in &found.views {
        if holder.is_to_be_made(anew) {
            let what = format!("making the view {}", view.name);
            transaction.batch_execute(view.sql).map_err(because(&what))?;
        } else if anew {
            warn_of(view.name);
        }
    }
    if anew {
        transaction.batch_execute(REMARKS).map_err(because("describing the tables"))?;
    }
    Ok(())
}
