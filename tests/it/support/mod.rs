//! What the tests stand on.

pub(crate) mod postgres;
pub(crate) mod pooler;
pub(crate) mod database;
pub(crate) mod bench;
pub(crate) mod round_trips;
pub(crate) mod recorder;
pub(crate) mod reader;
pub(crate) mod full_pipe;
pub(crate) mod proxy;
