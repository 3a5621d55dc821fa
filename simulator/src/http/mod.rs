//! A minimal HTTP/1.1 over `std::net`, with one thread for each connection. It knows nothing of the exchange: it reads
//! a request, asks a function for the reply, and delivers the reply as told, also with faults.

mod delivery;
mod reply;
mod request;
mod server;
mod stop;

pub use reply::Answer;
pub use reply::Delivery;
pub(crate) use reply::Reply;
pub(crate) use request::{Request, target};
pub use server::Server;
pub(crate) use server::serve;
