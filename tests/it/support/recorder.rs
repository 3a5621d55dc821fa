//! An HTTP server that remembers what it was told.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oxhttp::Server;
use oxhttp::model::{Body, Request, Response};

/// The path and the body of a request.
pub(crate) type Told = (String, String);

pub(crate) struct Recorder {
    pub(crate) url: String,
    told: Arc<Mutex<Vec<Told>>>,
}

/// An address of loopback that nobody listens on.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

impl Recorder {
    /// Answers everything with this status.
    pub(crate) fn start(status: u16) -> Recorder {
        let told: Arc<Mutex<Vec<Told>>> = Arc::default();
        let address = free_address();
        let held = Arc::clone(&told);
        let hear = move |request: &mut Request<Body>| {
            let path = request.uri().path().to_owned();
            let body = std::mem::take(request.body_mut()).to_string().unwrap();
            held.lock().unwrap().push((path, body));
            Response::builder().status(status).body(Body::empty()).unwrap()
        };
        let server = Server::new(hear).bind(address).with_global_timeout(Duration::from_secs(5));
        server.spawn().unwrap();
        Recorder { url: format!("http://{address}"), told }
    }

    /// Everything so far, in order.
    pub(crate) fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }
}
