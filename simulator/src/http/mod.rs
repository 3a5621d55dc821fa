//! Just enough HTTP/1.1 over `std::net` for one thread per connection. Knows nothing of the
//! exchange: it reads a request, asks a function for the reply, and delivers it as told, which
//! includes delivering it badly.

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
