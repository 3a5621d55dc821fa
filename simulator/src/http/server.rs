//! Accepts connections, answers requests, and stops. One thread accepts and one thread for each connection answers;
//! all of them have ended when a stop returns.

use std::any::Any;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::delivery::{Then, deliver};
use super::reply::{Delivery, Reply};
use super::request::{self, Request};
use super::stop::StopSignal;

/// A listening exchange. Dropping it stops it: no further connection is accepted, the open ones are shut down, waiting
/// faults end, and every thread is joined.
///
/// A panic in a handler (such as a failed assertion in a `before_each_page` function) makes the drop panic too, unless
/// the thread is panicking already: the test in which it happened fails.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

type Handler = Box<dyn Fn(&Request) -> Reply + Send + Sync>;

struct Shared {
    handler: Handler,
    stop: StopSignal,
    connections: Mutex<HashMap<u64, Weak<TcpStream>>>,
    panics: Mutex<Vec<String>>,
}

/// Serves until the returned handle is dropped.
pub(crate) fn serve(listener: TcpListener, handler: Handler) -> io::Result<Server> {
    let address = listener.local_addr()?;
    let shared = Arc::new(Shared {
        handler,
        stop: StopSignal::default(),
        connections: Mutex::default(),
        panics: Mutex::default(),
    });
    let acceptor = thread::Builder::new().name("accept".to_owned()).spawn({
        let shared = Arc::clone(&shared);
        move || accept(listener, &shared)
    })?;
    Ok(Server { address, shared, acceptor: Some(acceptor) })
}

impl Server {
    /// The URL that paths such as `/markets/trades` are appended to.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}{}", self.reachable_address(), crate::BASE_PATH)
    }

    /// Stops the server, as dropping it does.
    ///
    /// # Panics
    ///
    /// If a handler panicked.
    pub fn stop(self) {
        drop(self);
    }

    /// The address for clients. An unspecified address can only be listened on.
    fn reachable_address(&self) -> SocketAddr {
        let ip = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        SocketAddr::new(ip, self.address.port())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.stop();
        for connection in lock(&self.shared.connections).values().filter_map(Weak::upgrade) {
            // A connection that is closed already needs no shutdown.
            let _ = connection.shutdown(Shutdown::Both);
        }
        // Only a connection wakes `accept`; if none can be made, another one is just being accepted.
        let _ = TcpStream::connect_timeout(&self.reachable_address(), Duration::from_secs(1));
        if let Some(Err(panic)) = self.acceptor.take().map(JoinHandle::join) {
            lock(&self.shared.panics).push(words(&*panic));
        }
        let panics = lock(&self.shared.panics).join("; ");
        assert!(panics.is_empty() || thread::panicking(), "the exchange panicked: {panics}");
    }
}

fn accept(listener: TcpListener, shared: &Arc<Shared>) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    for id in 0_u64.. {
        let accepted = listener.accept();
        if shared.stop.is_stopped() {
            break;
        }
        let Ok((stream, _)) = accepted else {
            // There are no file descriptors left, or the client is gone; both are temporary.
            shared.stop.pause(Duration::from_millis(5));
            continue;
        };
        let stream = Arc::new(stream);
        lock(&shared.connections).insert(id, Arc::downgrade(&stream));
        let conversation = thread::Builder::new().name(format!("connection {id}")).spawn({
            let shared = Arc::clone(shared);
            move || {
                let conversation = AssertUnwindSafe(|| converse(&stream, &shared));
                if let Err(panic) = catch_unwind(conversation) {
                    lock(&shared.panics).push(words(&*panic));
                }
                lock(&shared.connections).remove(&id);
            }
        });
        threads.retain(|thread| !thread.is_finished());
        threads.extend(conversation);
    }
    drop(listener);
    // A stop between the check above and the registration did not see this connection.
    for connection in lock(&shared.connections).values().filter_map(Weak::upgrade) {
        let _ = connection.shutdown(Shutdown::Both);
    }
    for thread in threads {
        // Panics were caught and noted inside the thread.
        let _ = thread.join();
    }
}

/// Answers requests until one side closes. A failed connection needs no action here: the client notices it.
fn converse(stream: &TcpStream, shared: &Shared) {
    let _ = stream.set_nodelay(true);
    while let Ok(Then::Keep) = exchange_messages(stream, shared) {}
}

fn exchange_messages(stream: &TcpStream, shared: &Shared) -> io::Result<Then> {
    let Some(head) = request::read_head(stream)? else { return Ok(Then::Close) };
    let request = match request::parse(&head) {
        Ok(request) => request,
        Err(status) => {
            request::finish(stream, None)?;
            return deliver(stream, &Reply::html(status), true, &shared.stop);
        }
    };
    let reply = (shared.handler)(&request);
    let is_reset = matches!(reply.delivery, Delivery::Reset | Delivery::ResetMidHeaders);
    if !is_reset {
        request::finish(stream, Some(&request))?;
    }
    deliver(stream, &reply, request.wants_close(), &shared.stop)
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "something that is not text".to_owned())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
