//! `status` of a database with many markets.

use crate::loaders::Database;
use crate::on_sqlite::File;
use crate::table::{Goal, Table};
use crate::world::World;
use crate::{Setting, child, passes};

const MARKETS: usize = 3_000;
const FIRST_MARKETS: usize = 300;
const ANSWERS: usize = 5;

pub(crate) fn measure(setting: &Setting<'_>, table: &mut Table) {
    let markets: Vec<String> = (0..MARKETS).map(|n| format!("KXS-26NOV22-{n:04}")).collect();
    let world = World::new(&markets, setting.world.trades);

    let database = Database::migrated();
    // PostgreSQL plans by its statistics: without any, a first pass over so many markets takes minutes.
    child::seconds(&mut passes::over(&world, &world.markets[..FIRST_MARKETS], &database.url));
    database.client().batch_execute("analyze").unwrap();
    child::seconds(&mut passes::whole(&world, &database.url));
    world.check(&database.stored(), "a pass over many markets into PostgreSQL");
    // An old server has its statistics.
    database.client().batch_execute("vacuum analyze").unwrap();
    rows(table, "PostgreSQL", &database.url, &markets);

    let file = File::new(setting.directory, "status.db");
    child::seconds(&mut passes::whole(&world, &file.url()));
    world.check(&file.stored(), "a pass over many markets into SQLite");
    rows(table, "SQLite", &file.url(), &markets);
}

fn rows(table: &mut Table, database: &str, url: &str, markets: &[String]) {
    let two = markets[..2].join(",");
    for (name, goal, flags) in [
        ("`status` of 3,000 markets", 0.3, vec![]),
        ("`status` of two of them", 0.05, vec!["--market", &two]),
        ("`status --output prometheus`", 0.09, vec!["--output", "prometheus"]),
    ] {
        let words = [&["status", "--database-url", url], &flags[..]].concat();
        let seconds = (0..ANSWERS).map(|_| child::seconds(&mut child::ours(&words))).collect();
        table.row(&format!("{database}: {name}"), " s", Goal::AtMost(goal), seconds);
    }
}
