//! Deterministic simulation of whole histories of the program.
//!
//! A history is drawn from a seed: markets that open, trade, close and are settled, a host whose cron starts passes
//! and on which people start other commands, and everything that goes wrong. The commands are the real ones: each
//! process is one call of [`kalshi_ingest::app::main_in`] over an [`Outside`](kalshi_ingest::app::Outside) of ours, so that its clock, its
//! database and its way to the exchange are simulated, and nothing else. The same seed gives the same history to the byte.
//!
//! What the worlds leave out, since the program does not promise it: backfills beside servers of which only some are
//! far behind, servers that are behind by more than the overlap between two short pages of one walk, a list that is cut
//! short by both questions about its end, and two clocks that are wrong by the same span.
//!
//! What is not simulated: torn writes inside SQLite's file, threads within a process (walks are driven in turn), TLS and
//! proxies, `serve`.

pub mod random; // chance
pub mod history; // a history as data
pub mod counts; // what happened, in numbers
pub mod record; // and in words
pub mod truth; // what the exchange has
pub mod world; // from a seed to a world
pub mod draw; // and to a history
pub mod troubles; // what goes wrong in it
pub mod cut; // lists that end too soon
pub mod servers; // the exchange as a client meets it
pub mod check; // what must hold
pub mod machine; // time, turns, kills
pub mod clock; // the doors of a process: time…
pub mod wire; // …the exchange…
pub mod ambush; // what stops it within a call
pub mod database; // …and the database
pub mod server; // …which may be a real one
pub mod lines; // the ways to it
pub mod mirror; // what the checks see of it
pub mod process; // one invocation
pub mod bench; // what is kept from history to history
pub mod play; // plays one
pub mod shrink; // makes one shorter
