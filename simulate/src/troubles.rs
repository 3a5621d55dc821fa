//! The troubles of a history, drawn by its profile.

use kalshi_simulator::{Fault, RetryAfter};

use crate::draw::Drawing;
use crate::history::{HOUR, MINUTE, Profile, SECOND, Trouble, What};

/// The time without commands before the last passes.
pub fn rest(drawing: &mut Drawing) -> i64 {
    if has_rest(drawing) { 61 * MINUTE } else { 0 }
}

/// Whether the history ends with a rest. A client that was told to stay away for long comes back within the hour, and
/// within the same time it asks again about doubtful or unknown names.
fn has_rest(drawing: &Drawing) -> bool {
    drawing.profile.has(Profile::Absence) || drawing.profile.has(Profile::Lifecycle)
}

/// Lets the host sleep. Returns the whole duration.
pub fn sleeps(drawing: &mut Drawing) -> i64 {
    if !drawing.profile.has(Profile::Clocks) || !drawing.random.chance(300) {
        return 0;
    }
    let at = drawing.random.between(0, drawing.ends_at - SECOND);
    let us = *drawing.random.pick(&[30 * SECOND, 10 * MINUTE, 3 * HOUR]);
    drawing.add(at, What::Suspend { us });
    us
}

/// Pauses trading for a while: no market trades then.
pub fn pause(drawing: &mut Drawing) {
    let may_be = drawing.profile == Profile::Calm || drawing.profile.has(Profile::Lifecycle);
    if !may_be || !drawing.random.chance(150) {
        return;
    }
    let begins = drawing.random.between(MINUTE, drawing.ends_at - 2 * MINUTE);
    let lasts = drawing.random.between(MINUTE, 8 * MINUTE).min(drawing.ends_at - MINUTE - begins);
    drawing.pause = Some((begins, begins + lasts));
    let is_down = drawing.profile != Profile::Calm && drawing.random.chance(400);
    let trouble = Trouble::Paused { is_down };
    drawing.add(begins, What::Disturb { trouble, per_mille: 1_000, lasts });
}

/// Draws the troubles.
pub fn draw(drawing: &mut Drawing) {
    if drawing.profile == Profile::Calm {
        return;
    }
    for _ in 0..drawing.random.between(1, 3) {
        wires(drawing);
    }
    if drawing.profile.has(Profile::Clocks) {
        for _ in 0..drawing.random.between(1, 3) {
            clocks(drawing);
        }
    }
    if drawing.profile.has(Profile::Absence) {
        for _ in 0..drawing.random.between(1, 3) {
            absence(drawing);
        }
    }
    if drawing.profile.has(Profile::Kills) {
        for _ in 0..drawing.random.between(0, 2) {
            let kinds =
                [Trouble::StoreBreaks, Trouble::AckLost, Trouble::StoreTears, Trouble::DiesInside];
            let trouble = drawing.random.pick(&kinds).clone();
            let per_mille = *drawing.random.pick(&[10, 50, 150]);
            lasting(drawing, trouble, per_mille, MINUTE);
        }
    }
}

fn lasting(drawing: &mut Drawing, trouble: Trouble, per_mille: u64, lasts_max: i64) {
    // Trouble while the database is still empty matters most.
    let is_first = drawing.random.chance(150);
    let latest = if is_first { 0 } else { drawing.ends_at - 30 * SECOND };
    let begins = drawing.random.between(0, latest);
    let lasts = drawing.random.between(SECOND, lasts_max).min(drawing.ends_at - begins);
    drawing.add(begins, What::Disturb { trouble, per_mille, lasts });
}

/// Faults that any client has to survive.
fn wires(drawing: &mut Drawing) {
    let is_of_rows = drawing.random.chance(400);
    let fault = if is_of_rows { of_rows(drawing) } else { of_wires(drawing) };
    let paths: &[&'static str] = if is_of_rows {
        &["*", "/markets/trades"]
    } else {
        &["*", "*", "/markets/trades", "/markets", "/markets/trades"]
    };
    let path = *drawing.random.pick(paths);
    // A server that answers every list with an empty page and a cursor cannot be recognized, so this fault is rare.
    let often: &[u64] = match fault {
        Fault::EmptyPageWithCursor => &[50, 200],
        _ => &[50, 200, 600, 1_000],
    };
    let per_mille = *drawing.random.pick(often);
    lasting(drawing, Trouble::Fault(path, fault), per_mille, 3 * MINUTE);
}

/// An answer that does not arrive, or that makes no sense.
fn of_wires(drawing: &mut Drawing) -> Fault {
    let unknown = if has_rest(drawing) { 404 } else { 502 };
    *drawing.random.pick(&[
        Fault::Status(500),
        Fault::Status(503),
        Fault::Status(unknown),
        Fault::TooMany { retry_after: None },
        Fault::TooMany { retry_after: Some(RetryAfter::Seconds(7)) },
        Fault::LeaveAlone { status: 503, retry_after: RetryAfter::Seconds(20) },
        Fault::Reset,
        Fault::Closed,
        Fault::ResetMidHeaders,
        Fault::Truncated,
        Fault::Garbage,
        Fault::NotTrades,
        Fault::SlowBody { bytes_per_step: 500, pause_ms: 900 },
        Fault::Hang { ms: 4_000 },
        Fault::Hang { ms: 60_000 },
        Fault::Redirect,
        Fault::CloseAfter,
    ])
}

/// Wrong rows and cursors.
fn of_rows(drawing: &mut Drawing) -> Fault {
    *drawing.random.pick(&[
        Fault::RepeatCursor,
        Fault::RefusedCursor,
        Fault::IgnoredCursor,
        Fault::DuplicatedRows,
        Fault::Unordered,
        Fault::EmptyPageWithCursor,
        Fault::EmptyPageWithCursor,
    ])
}

/// Clocks that differ, and old answers.
fn clocks(drawing: &mut Drawing) {
    let far = [2 * SECOND, 20 * SECOND, 3 * MINUTE, 2 * HOUR];
    match drawing.random.below(6) {
        0 => {
            // The difference never equals that of our own clock: two clocks that are wrong by the same span agree.
            let us = *drawing.random.pick(&far) * 13 / 10;
            let us = if drawing.random.chance(500) { us } else { -us };
            let per_mille = *drawing.random.pick(&[200, 500, 1_000]);
            lasting(drawing, Trouble::Ahead(us), per_mille, 8 * MINUTE);
        }
        1 => {
            let us = *drawing.random.pick(&[2 * SECOND, 30 * SECOND, 4 * MINUTE]);
            let per_mille = *drawing.random.pick(&[300, 1_000]);
            lasting(drawing, Trouble::Lagging(us), per_mille, 8 * MINUTE);
        }
        2 => lasting(drawing, Trouble::Frozen, 1_000, 10 * MINUTE),
        3 => {
            let age_max = *drawing.random.pick(&[30 * SECOND, 5 * MINUTE, HOUR]);
            let is_told = drawing.random.chance(500);
            let per_mille = *drawing.random.pick(&[300, 1_000]);
            lasting(drawing, Trouble::Cached { age_max, is_told }, per_mille, 10 * MINUTE);
        }
        _ => {
            let at = drawing.random.between(0, drawing.ends_at - SECOND);
            let us = *drawing.random.pick(&far);
            let us = if drawing.random.chance(500) { us } else { -us };
            drawing.add(at, What::Turn { us });
        }
    }
}

/// Answers that show too little, or something else.
fn absence(drawing: &mut Drawing) {
    let place = drawing.random.index(drawing.lasting.len());
    let ticker = drawing.lasting[place].clone();
    let per_mille = *drawing.random.pick(&[300, 1_000]);
    let trouble = match drawing.random.below(9) {
        0 => Trouble::Fault("/markets/trades", Fault::EmptyList),
        1 => Trouble::Fault("/markets", Fault::EmptyList),
        2 => Trouble::Fault("*", Fault::EmptyList),
        3 => {
            let path = *drawing.random.pick(&["/markets", "/markets/trades", "*"]);
            Trouble::Fault(path, Fault::IgnoredFilters)
        }
        4 => Trouble::LeftOut(ticker),
        5 => Trouble::SettledTooSoon(ticker),
        6 | 7 => Trouble::Cut(*drawing.random.pick(&[1, 3, 8])),
        _ => Trouble::NoVolume(drawing.random.chance(500)),
    };
    lasting(drawing, trouble, per_mille, 9 * MINUTE);
}
