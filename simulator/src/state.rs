//! The state of an exchange. The router reads and changes it while it answers.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::asked::{Asked, RequestLog};
use crate::fault::FaultPlan;
use crate::path_faults::PathFaults;
use crate::rate_limit::RateLimiter;
use crate::rules::Rules;
use crate::world::World;

type PageHook = Box<dyn FnMut(&mut World, u64) + Send>;
type Uptime = Box<dyn Fn() -> Duration + Send>;
type Observer = Box<dyn FnMut(&Asked) + Send>;

pub(crate) struct State {
    pub(crate) world: World,
    pub(crate) faults: FaultPlan,
    pub(crate) path_faults: PathFaults,
    pub(crate) limiter: RateLimiter,
    pub(crate) trades_request_count: u64,
    pub(crate) uptime: Uptime,
    pub(crate) page_hook: Option<PageHook>,
    pub(crate) observer: Option<Observer>,
    pub(crate) log: RequestLog,
}

thread_local! {
    /// Whether this thread runs a function that holds the locked world.
    static HOLDS_WORLD: Cell<bool> = const { Cell::new(false) };
}

impl State {
    /// A state without trades and markets, by the machine's clock.
    pub(crate) fn new(rules: Rules) -> State {
        let started = Instant::now();
        State {
            world: World::new(rules),
            faults: FaultPlan::default(),
            path_faults: PathFaults::default(),
            limiter: RateLimiter::default(),
            trades_request_count: 0,
            uptime: Box::new(move || started.elapsed()),
            page_hook: None,
            observer: None,
            log: RequestLog::default(),
        }
    }

    /// The uptime in microseconds.
    pub(crate) fn uptime_us(&self) -> i64 {
        i64::try_from((self.uptime)().as_micros()).expect("not 290,000 years of uptime")
    }

    /// Counts a trades request and lets the test's function change the world before the answer.
    pub(crate) fn begin_trades_request(&mut self) -> u64 {
        self.trades_request_count += 1;
        let number = self.trades_request_count;
        if let Some(hook) = &mut self.page_hook {
            with_world_held(|| hook(&mut self.world, number));
        }
        number
    }

    /// Puts a request on record.
    pub(crate) fn record(&mut self, asked: Asked) {
        if let Some(observer) = &mut self.observer {
            with_world_held(|| observer(&asked));
        }
        self.log.push(asked);
    }
}

/// Whether this thread runs a function that holds the locked world. A call of the exchange would wait for itself then.
pub(crate) fn is_world_held() -> bool {
    HOLDS_WORLD.get()
}

/// Runs a function of the caller while this thread has the lock, see [`is_world_held`].
pub(crate) fn with_world_held<T>(run: impl FnOnce() -> T) -> T {
    struct Release;
    impl Drop for Release {
        fn drop(&mut self) {
            HOLDS_WORLD.set(false);
        }
    }
    HOLDS_WORLD.set(true);
    let _release = Release;
    run()
}
