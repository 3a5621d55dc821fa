//! Stores every Kalshi trade exactly once, in PostgreSQL or SQLite.
//!
//! The modules below are listed in layers, lowest first: a module sees only the modules above it. Data flows one way:
//! HTTP bytes, wire struct, canonical trade, batch, store and checkpoint, tally, metrics, exit status.
//! `ARCHITECTURE.md` follows one trade through them.

pub mod failure; // the kinds of errors
pub mod domain; // all decisions; no I/O
pub mod exit; // the exit statuses
pub mod words; // instants, durations and breaches as text for people
pub mod clock; // the only access to time
pub mod retry; // when to try again
pub mod pace; // how fast to ask
pub mod proxy; // the proxy for a URL
pub mod driver; // the next step of a pass
pub mod kalshi; // the exchange: one request, one typed answer
pub mod store; // the tables: one contract, two databases
pub mod ingest; // carries out the driver's effects; only here do exchange and store meet
pub mod cli; // the command line
pub mod report; // tables for people and scripts
pub mod metrics; // text for Prometheus
pub mod manual; // completions and manual pages
pub mod dataset; // exported rows as files, with their manifest
pub mod webhook; // calls to other services by HTTP
pub mod progress; // the progress bar on a terminal
pub mod watchlist; // the file with the selection
pub mod config; // from the command line to plans
pub mod fuzz; // the decoders as functions of any bytes
pub mod logging; // the log
pub mod watchdog; // ends a pass that outlives its time
pub mod serve; // the database over HTTP
pub mod app; // one invocation
