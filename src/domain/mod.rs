//! The core: decides everything, does nothing. No I/O, no clock, no logger.

pub mod fixed;
pub mod time;
pub mod trade;
pub mod market;
pub mod book;
pub mod checkpoint;
pub mod walk;
pub mod batch;
pub mod tally;
pub mod freshness;
