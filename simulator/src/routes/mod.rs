//! One file per resource.

pub(crate) mod exchange_status;
pub(crate) mod historical_cutoff;
pub(crate) mod trades;
mod trades_fault;
