//! Deterministic simulation of whole histories of the program.
//!
//! A history is drawn from a seed: markets that open, trade, close and settle, a host whose cron starts passes and on
//! which people start other commands, and all troubles. The commands are the real ones. Each process is one call of
//! [`kalshi_ingest::app::main_in`] with our own [`Outside`](kalshi_ingest::app::Outside): only its clock, its database
//! and its way to the exchange are simulated. The same seed gives the same history to the byte.
//!
//! The program does not promise to handle some worlds, so they are left out: backfills beside servers of which only
//! some are far behind, servers that are behind by more than the overlap between two short pages of one walk, a list
//! that is cut short in the answers to both questions about its end, and two clocks that are wrong by the same span.
//!
//! The simulation does not cover torn writes inside SQLite's file, threads within a process (walks are driven in
//! turn), TLS and proxies, and `serve`.

pub mod random; // random streams
pub mod history; // a history as data
pub mod counts; // counts of events
pub mod record; // digest and story
pub mod truth; // the data of the exchange
pub mod world; // draws a world
pub mod draw; // draws a history
pub mod troubles; // draws its troubles
pub mod cut; // lists that are cut short
pub mod servers; // the exchange as a client meets it
pub mod tables; // contradictions within the tables
pub mod check; // the invariants
pub mod machine; // time, turns, kills
pub mod clock; // the clock of a process
pub mod wire; // its way to the exchange
pub mod ambush; // stops a call of the database
pub mod database; // its database
pub mod server; // a real PostgreSQL server
pub mod lines; // the connections to it
pub mod mirror; // its copy for the checks
pub mod process; // one invocation
pub mod bench; // the parts kept from history to history
pub mod play; // plays a history
pub mod shrink; // shortens a history
