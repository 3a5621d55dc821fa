//! `run` into PostgreSQL beside `\copy`, COPY BINARY and the physical bound.

use crate::child::{self, Usage};
use crate::loaders::{Database, Finished, Load};
use crate::table::{Goal, Table, each, float};
use crate::world::World;
use crate::{Setting, passes};

/// The runs of one round, one after the other.
struct Round {
    ours: Usage,
    ours_wal_bytes: f64,
    again: f64,
    csv: Load,
    binary: Load,
    one: Load,
    two: Load,
}

pub(crate) fn measure(setting: &Setting<'_>, table: &mut Table) {
    let world = &setting.world;
    let finished = finished(setting);
    let rounds: Vec<Round> = (0..setting.pairs).map(|_| round(world, &finished)).collect();
    let rate = |other: fn(&Round) -> Load| each(&rounds, |it| other(it).seconds / it.ours.seconds);
    let trades = float(world.trades);
    let mut row = |name: &str, unit: &str, goal: Goal, figures: Vec<f64>| {
        table.row(&format!("PostgreSQL: {name}"), unit, goal, figures);
    };
    let (at_least, at_most) = (Goal::AtLeast, Goal::AtMost);
    row("rate of `run` ÷ `\\copy` CSV", "", at_least(1.6), rate(|it| it.csv));
    row("rate of `run` ÷ COPY BINARY", "", at_least(1.1), rate(|it| it.binary));
    row("rate of `run` ÷ the bound, two connections", "", at_least(0.85), rate(|it| it.two));
    row("rate of `run` ÷ the bound, one connection", "", Goal::None, rate(|it| it.one));
    let bound = each(&rounds, |it| it.csv.seconds / it.two.seconds);
    row("rate of the bound, two connections ÷ `\\copy` CSV", "", Goal::None, bound);
    let bound = each(&rounds, |it| it.csv.seconds / it.one.seconds);
    row("rate of the bound, one connection ÷ `\\copy` CSV", "", Goal::None, bound);
    let again = each(&rounds, |it| it.again / it.csv.seconds);
    row("time of `run` with duplicates only ÷ `\\copy` CSV", "", at_most(0.45), again);
    let wal = each(&rounds, |it| it.ours_wal_bytes / it.csv.wal_bytes);
    row("WAL of `run` ÷ `\\copy` CSV", "", at_most(1.05), wal);
    row("WAL of `run`, a trade", " B", Goal::None, each(&rounds, |it| it.ours_wal_bytes / trades));
    let wal = each(&rounds, |it| it.csv.wal_bytes / trades);
    row("WAL of `\\copy` CSV, a trade", " B", Goal::None, wal);
    let cpu = each(&rounds, |it| it.ours.cpu_seconds / trades * 1e6);
    row("processor time of `run`, a trade", " µs", at_most(1.5), cpu);
    let peak = each(&rounds, |it| it.ours.peak_mb);
    row("peak memory of `run`", " MB", at_most(64.0), peak);
    let thousands = each(&rounds, |it| trades / it.ours.seconds / 1e3);
    row("rate of `run`, thousand trades a second", "", Goal::None, thousands);
}

/// The finished rows, from a pass that is not measured.
pub(crate) fn finished(setting: &Setting<'_>) -> Finished {
    let database = Database::migrated();
    child::seconds(&mut passes::whole(&setting.world, &database.url));
    Finished::export(&database, setting.directory)
}

fn round(world: &World, finished: &Finished) -> Round {
    let database = Database::migrated();
    let pass = passes::whole(world, &database.url);
    let (ours, ours_wal_bytes) = database.logged(|| child::usage(&pass));
    world.check(&database.stored(), "a pass into PostgreSQL");
    let again = child::usage(&pass).seconds;
    world.check(&database.stored(), "a second pass into PostgreSQL");
    drop(database);
    Round {
        ours,
        ours_wal_bytes,
        again,
        csv: finished.copy_csv(),
        two: finished.bound_of_two(),
        binary: finished.copy_binary(),
        one: finished.bound_of_one(),
    }
}
