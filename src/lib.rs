//! Every Kalshi trade exactly once, in PostgreSQL or SQLite.
//!
//! The modules below are listed in layers, lowest first: one sees only those above it. Data
//! flows one way: HTTP bytes, wire struct, canonical trade, batch, store and checkpoint, tally,
//! metrics, exit status. `ARCHITECTURE.md` walks one trade through them.

pub mod failure; // what can go wrong
pub mod domain; // decides everything, does nothing
pub mod exit; // what the scheduler sees
pub mod words; // instants, durations and breaches as people read them
pub mod clock; // the one door to time
pub mod retry; // when to try again
pub mod pace; // how fast to ask
pub mod proxy; // through whom to ask
pub mod driver; // what is done next
pub mod kalshi; // the exchange: one request, one typed answer
pub mod store; // where trades end up: one contract, two databases
pub mod ingest; // the driver: the only place where they meet
pub mod cli; // what can be typed
pub mod report; // what people and scripts read
pub mod metrics; // what Prometheus reads
pub mod manual; // what the program says of itself
pub mod webhook; // who else is told
pub mod progress; // the bar on a terminal
pub mod watchlist; // the file of what is selected
pub mod config; // from what was typed to what will be done
pub mod fuzz; // what reads bytes of somebody else
pub mod logging; // the log
pub mod watchdog; // ends a pass that outlives its time
pub mod serve; // what the database says, over HTTP
pub mod app; // one invocation
