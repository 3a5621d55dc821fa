#![doc = include_str!("../README.md")]

mod error;
mod notice;
mod parameters;
mod dsn;
mod service;
mod passfile;
mod tls;
mod resolve;
mod certificate;
mod verify;
mod stream;
mod options;
mod connection_string;
mod negotiate;
mod exposure;
mod connect;

pub use self::connection_string::ConnectionString;
pub use self::error::{Error, ErrorKind};
pub use self::notice::Notice;
pub use self::options::Options;
