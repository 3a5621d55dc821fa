//! `serve`: answers questions from the database over HTTP. Reads only.
//!
//! A one-shot program cannot be asked for its state; the database can, also when no pass runs any more.

mod answers;
mod overview_cache;
mod health;
mod http;
mod page;

use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use self::answers::Answer;
use self::http::{Method, Request};
use self::overview_cache::OverviewCache;
use crate::clock::{Clock, StopFlag};
use crate::config::ServePlan;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::store::Store;

/// The interval between two looks at the stop flag.
const POLL: Duration = Duration::from_millis(100);

/// Serves answers until the program is asked to stop, from the database that `open` opens.
pub fn serve(
    plan: &ServePlan,
    open: impl Fn() -> Result<Box<dyn Store>, Failure> + Send + 'static,
    clock: &Arc<dyn Clock>,
    stop: &StopFlag,
) -> Result<Exit, Failure> {
    let no_room = |error| Failure::config("there is no room for a thread").because(error);
    let cache =
        OverviewCache::start(open, plan.selection.clone(), Arc::clone(clock)).map_err(no_room)?;
    let taken = |error| {
        Failure::config(format!("listening on {} failed; choose another --listen", plan.listen))
            .because(error)
    };
    let listeners = addresses(&plan.listen)?.into_iter().map(TcpListener::bind);
    let listeners: Vec<TcpListener> = listeners.collect::<Result<_, _>>().map_err(taken)?;
    let asked = Arc::clone(&cache);
    http::start(listeners, move |request| respond(&asked, request)).map_err(no_room)?;
    log::info!("serving http://{}/", plan.listen);
    // A problem with the database is reported now, and not only to the first client.
    cache.view();
    while stop.signal().is_none() {
        clock.poll(POLL);
    }
    // The program was asked to end, and has no work in progress.
    Ok(Exit::Ok)
}

fn addresses(listen: &str) -> Result<Vec<SocketAddr>, Failure> {
    let wrong =
        || Failure::config(format!("--listen {listen:?} is not an address like 127.0.0.1:8080"));
    let found: Vec<SocketAddr> =
        listen.to_socket_addrs().map_err(|error| wrong().because(error))?.collect();
    if found.is_empty() { Err(wrong()) } else { Ok(found) }
}

fn respond(cache: &OverviewCache, request: &Request) -> Answer {
    log::debug!("{:?} {}", request.method, request.path);
    match request.method {
        Method::Get | Method::Head => answer(cache, &request.path),
        Method::Other => Answer::text(405, "this server only answers; use GET\n"),
    }
}

fn answer(cache: &OverviewCache, path: &str) -> Answer {
    match path {
        "/" => page::page(&cache.view()),
        "/overview.json" => page::json(&cache.view()),
        "/health" => health::health(&cache.view()),
        "/livez" => Answer::text(200, "ok\n"),
        "/readyz" => health::ready(&cache.view()),
        "/metrics" => answers::metrics(&cache.view()),
        // Browsers ask for this by themselves: an empty answer is no error.
        "/favicon.ico" => Answer::text(204, ""),
        _ => {
            Answer::text(404, "there is /, /health, /livez, /readyz, /metrics and /overview.json\n")
        }
    }
}
