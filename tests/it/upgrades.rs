//! Databases that earlier builds made, with data in every table: they come forward with nothing lost,
//! a migration that is cut at any statement leaves the old schema, and an older build leaves a newer
//! schema alone.

mod fixtures;
mod forward;
mod cuts;
mod older;

pub(crate) use fixtures::steps;
