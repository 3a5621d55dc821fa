//! `backfill` into PostgreSQL over the same history, beside the same bound.

use std::process::Command;

use crate::child;
use crate::loaders::{Database, Finished};
use crate::table::{Goal, Table, each};
use crate::world::World;
use crate::{Setting, on_postgres};

/// The requests that the exchange grants a second: those of its highest tier.
const GRANTED: u32 = 480;

/// The seconds of the runs of one round.
struct Round {
    granted: f64,
    unlimited: f64,
    csv: f64,
    two: f64,
}

pub(crate) fn measure(setting: &Setting<'_>, table: &mut Table) {
    let finished = on_postgres::finished(setting);
    let rounds: Vec<Round> = (0..setting.pairs).map(|_| round(&setting.world, &finished)).collect();
    let mut row = |name: &str, goal: Goal, figure: fn(&Round) -> f64| {
        table.row(
            &format!("PostgreSQL: rate of `backfill` {name}"),
            "",
            goal,
            each(&rounds, figure),
        );
    };
    row("÷ the bound, requests unlimited", Goal::AtLeast(0.85), |it| it.two / it.unlimited);
    row("÷ the bound, 480 requests a second", Goal::AtLeast(0.85), |it| it.two / it.granted);
    row("÷ `\\copy` CSV, requests unlimited", Goal::AtLeast(1.6), |it| it.csv / it.unlimited);
}

fn round(world: &World, finished: &Finished) -> Round {
    let unlimited = one(world, 1_200);
    world.limit(Some(GRANTED));
    let granted = one(world, GRANTED);
    world.limit(None);
    let (csv, two) = (finished.copy_csv().seconds, finished.bound_of_two().seconds);
    Round { granted, unlimited, csv, two }
}

fn one(world: &World, per_second: u32) -> f64 {
    let database = Database::migrated();
    let seconds = child::seconds(&mut command(world, &database.url, per_second));
    world.check(&database.stored(), "a backfill into PostgreSQL");
    seconds
}

fn command(world: &World, database: &str, per_second: u32) -> Command {
    let (markets, base_url, [from, to]) = (world.markets.join(","), world.base_url(), world.span());
    let mut command = child::ours(&["backfill", "--market", &markets, "--base-url", &base_url]);
    command.args(["--from", &from, "--to", &to, "--database-url", database]);
    command.args(["--requests-per-second", &per_second.to_string()]);
    command
}
