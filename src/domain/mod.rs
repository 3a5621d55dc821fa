//! The core: decides everything, does nothing. No I/O, no clock, no logger.

pub mod fixed;
pub mod time;
pub mod trade;
pub mod market;
pub mod exchange_record;
pub mod sync_mark;
pub mod book;
pub mod selection;
pub mod evidence;
mod density;
pub mod pulse;
pub mod checkpoint;
pub mod lifecycle;
pub mod membership;
pub mod tier;
pub mod slice;
pub mod page;
pub mod walk;
pub mod tape;
pub mod slice_walk;
pub mod plan;
pub mod backfill;
pub mod completeness;
pub mod batch;
pub mod tally;
pub mod freshness;
pub mod overview;
