//! The integration tests, in one binary: one link step, one throw-away database server.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod absences;
mod claims;
mod support;

mod conflicts;
mod quarantine;
mod conformance;
mod catalogue;
mod history;
mod monitoring;
mod exchange_records;
mod parity;
mod upgrades;
mod fuzz;
mod hostile;
mod statuses;
mod notifications;
mod serving;
mod passes;
mod demo;
mod drives;
mod markets;
mod orderbooks;
mod lifespans;
mod tapes;
mod backfills;
mod scores;
mod names;
mod zero_times;
mod replays;
mod partitions;
mod roles;
mod poolers;
mod cached;
mod faults;
mod come_backs;
mod proxies;
mod shapes;
mod tls;
mod exchange_tls;
mod signing;
mod process;
mod unread;
mod reading;
mod settings;
mod environment;
mod signals;
mod kills;
mod lost_answers;
mod reconnection;
mod reference;
mod tidy;
