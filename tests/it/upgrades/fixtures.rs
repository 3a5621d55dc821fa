//! A database as the build of a step left it.

use std::fs;
use std::path::{Path, PathBuf};

use kalshi_ingest::kalshi::VENUE;
use kalshi_ingest::store::{DatabaseUrl, Missing, Store};

use crate::parity::tables::{self, Tables};
use crate::support::database::Database;

pub(super) fn dialect(database: &Database) -> &'static str {
    if database.url.starts_with("sqlite:") { "sqlite" } else { "postgres" }
}

fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The names of all steps, in their order.
pub(crate) fn steps() -> Vec<String> {
    let names = fs::read_dir(folder("sql/sqlite/migrations")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let is_step = |name: &String| name.starts_with(|first: char| first.is_ascii_digit());
    let mut names: Vec<String> =
        names.filter(is_step).map(|name| name.trim_end_matches(".sql").to_owned()).collect();
    names.sort();
    names
}

/// A step's own file.
pub(super) fn step(dialect: &str, name: &str) -> String {
    fs::read_to_string(folder(&format!("sql/{dialect}/migrations/{name}.sql"))).unwrap()
}

/// A new database becomes one in use, of the first so many steps. The fixture holds the sums of their
/// files: who edits one of them makes it a database of somebody else.
pub(super) fn fill(database: &Database, count: usize) {
    database.clear();
    let steps = steps();
    let Some(last) = count.checked_sub(1) else { return };
    let dialect = dialect(database);
    for name in &steps[..count] {
        database.execute(&step(dialect, name));
    }
    let path = folder(&format!("tests/it/upgrades/fixtures/{dialect}/{}.sql", steps[last]));
    let data = fs::read_to_string(&path);
    database.execute(&data.unwrap_or_else(|error| {
        panic!("a step needs a fixture of what its build leaves, {}: {error}", path.display())
    }));
}

/// The store of this build, which has not migrated.
pub(super) fn open(database: &Database) -> Box<dyn Store> {
    DatabaseUrl::parse(&database.url, &|_| None)
        .unwrap()
        .open(Missing::Create, VENUE.source)
        .unwrap()
}

/// Every row of every table.
pub(super) fn rows(database: &Database) -> Tables {
    match database.url.strip_prefix("sqlite:") {
        Some(path) => tables::of_sqlite(path),
        None => tables::of_postgres(&mut tables::connect(&database.url)),
    }
}

/// Every table, column, index, constraint, view and trigger, in words.
pub(super) fn schema(database: &Database) -> Vec<Option<String>> {
    database.texts(if dialect(database) == "sqlite" {
        "select type || ' ' || name || ' ' || coalesce(sql, '') as x from sqlite_schema order by x"
    } else {
        "select x from (
             select format('%s.%s %s %s %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
                 a.attnotnull, pg_get_expr(d.adbin, d.adrelid)) as x
             from pg_attribute a
             join pg_class c on c.oid = a.attrelid and c.relnamespace = 'public'::regnamespace
             left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
             where a.attnum > 0 and not a.attisdropped
             union all
             select pg_get_constraintdef(oid) || ' ' || conrelid::regclass
             from pg_constraint where connamespace = 'public'::regnamespace
             union all
             select indexdef from pg_indexes where schemaname = 'public'
             union all
             select definition from pg_views where schemaname = 'public'
             union all
             select pg_get_triggerdef(oid) from pg_trigger where not tgisinternal
             union all
             select format('%s %s', objoid::regclass, description)
             from pg_description where classoid = 'pg_class'::regclass and objsubid > 0
                 and objoid in (select oid from pg_class where relnamespace = 'public'::regnamespace)
         ) as s order by x"
    })
}
