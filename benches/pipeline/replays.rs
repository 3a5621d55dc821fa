//! `replay` of all trades after they were deleted.

use crate::loaders::Database;
use crate::on_sqlite::File;
use crate::table::{Goal, Table, float};
use crate::{Setting, child, passes};

/// Three times the rate of 2026-11-22, in thousand events a second.
const GOALS: [f64; 2] = [139.0, 170.0];

pub(crate) fn measure(setting: &Setting<'_>, table: &mut Table) {
    let world = &setting.world;
    let rate = |seconds: f64| float(world.trades) / seconds / 1e3;
    let replay = |url: &str| child::seconds(&mut child::ours(&["replay", "--database-url", url]));

    let database = Database::migrated();
    child::seconds(&mut passes::whole(world, &database.url));
    let rates = (0..setting.pairs).map(|_| {
        database.client().batch_execute("truncate prediction_market_trades").unwrap();
        let seconds = replay(&database.url);
        world.check(&database.stored(), "a replay in PostgreSQL");
        rate(seconds)
    });
    let name = "rate of `replay`, thousand events a second";
    table.row(&format!("PostgreSQL: {name}"), "", Goal::AtLeast(GOALS[0]), rates.collect());

    let file = File::new(setting.directory, "replay.db");
    child::seconds(&mut passes::whole(world, &file.url()));
    let rates = (0..setting.pairs).map(|_| {
        file.open().execute_batch("delete from prediction_market_trades").unwrap();
        let seconds = replay(&file.url());
        world.check(&file.stored(), "a replay in SQLite");
        rate(seconds)
    });
    table.row(&format!("SQLite: {name}"), "", Goal::AtLeast(GOALS[1]), rates.collect());
}
