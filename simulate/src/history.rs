//! A history as data: what the world is, what happens in it, and which commands are run. Nothing here runs.

use std::fmt;

use kalshi_simulator::{Fault, Rules};

/// One second, in the unit of all times here.
pub const SECOND: i64 = 1_000_000;
/// One minute.
pub const MINUTE: i64 = 60 * SECOND;
/// One hour.
pub const HOUR: i64 = 60 * MINUTE;
/// One day.
pub const DAY: i64 = 24 * HOUR;
/// When every history begins, since 1970.
pub const BEGINS_AT: i64 = 1_793_620_800 * SECOND;

/// What a history is mostly about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Profile {
    /// Nothing goes wrong.
    Calm,
    /// Servers that differ, caches, jumps of our clock, hosts that sleep.
    Clocks,
    /// Lists that are empty, of somebody else or leave a market out; descriptions that are wrong.
    Absence,
    /// Kills, overlapping passes, lost acknowledgements of the database.
    Kills,
    /// Markets that open, close, settle; selections that change; the past, replays, prunes.
    Lifecycle,
    /// All of it.
    Everything,
}

impl Profile {
    /// All of them, in the order of their numbers.
    pub const ALL: [Profile; 6] = [
        Profile::Calm,
        Profile::Clocks,
        Profile::Absence,
        Profile::Kills,
        Profile::Lifecycle,
        Profile::Everything,
    ];

    /// Whether histories of this profile have what that one is about.
    pub fn has(self, about: Profile) -> bool {
        self == about || self == Profile::Everything
    }
}

/// A whole history.
#[derive(Clone, Debug)]
pub struct History {
    /// What all of it follows from.
    pub seed: u64,
    /// What it is about.
    pub profile: Profile,
    /// How the exchange behaves while nothing goes wrong.
    pub rules: Rules,
    /// What happens, in the order of time.
    pub steps: Vec<Step>,
    /// What is selected at the end, as flags of a command.
    pub selection: Vec<String>,
    /// The staleness that passes allow.
    pub sla: i64,
    /// When everything that goes wrong has ended, and trading too.
    pub ends_at: i64,
    /// How long nothing runs before the last passes, so that what lasts for a while has ended.
    pub rest: i64,
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its number, from which chance within it follows.
    pub id: u64,
    /// When, in microseconds since the beginning.
    pub at: i64,
    /// What.
    pub what: What,
}

impl Step {
    /// Whether lists say less of markets, or of their trades, than there is while it lasts.
    pub fn hides_markets(&self) -> bool {
        let What::Disturb { trouble, .. } = &self.what else { return false };
        match trouble {
            Trouble::Fault(_, fault) => {
                matches!(fault, Fault::EmptyList | Fault::EmptyPageWithCursor)
            }
            Trouble::LeftOut(_) | Trouble::SettledTooSoon(_) | Trouble::Cut(_) => true,
            _ => false,
        }
    }

    /// Whether one server of several is behind from then on by more than a backfill lets settle.
    pub fn is_far_behind_at_times(&self) -> bool {
        let always = 1_000;
        matches!(&self.what, What::Disturb { per_mille, .. } if *per_mille < always)
            && self.is_far_behind()
    }

    /// Whether a server is behind from then on by more than walks read again.
    pub fn is_far_behind(&self) -> bool {
        match &self.what {
            What::Disturb { trouble: Trouble::Lagging(us), .. } => *us > 100 * SECOND,
            What::Disturb { trouble: Trouble::Frozen, .. } => true,
            _ => false,
        }
    }
}

/// What can happen.
#[derive(Clone, Debug)]
pub enum What {
    /// A market is listed and open.
    Open {
        /// Its name.
        ticker: String,
        /// How long it trades.
        lasts: i64,
    },
    /// A market trades.
    Trades {
        /// Which.
        ticker: String,
        /// How often.
        count: usize,
        /// Within which time.
        span: i64,
        /// How late each may be shown at most.
        late_max: i64,
    },
    /// A market is settled.
    Settle {
        /// Which.
        ticker: String,
    },
    /// A market is taken away by the exchange; its trades stay.
    Remove {
        /// Which.
        ticker: String,
    },
    /// What is said of a market changes.
    Amend {
        /// Which.
        ticker: String,
        /// What.
        amendment: Amendment,
    },
    /// A trade is shown with other values from now on.
    Again {
        /// The step that made it.
        of: u64,
        /// Which of that step's.
        place: usize,
        /// In what it differs.
        otherwise: Otherwise,
    },
    /// Something is on the tape of a market that is no trade that anybody could read.
    Odd {
        /// Whose.
        ticker: String,
        /// What is wrong with it.
        oddity: Oddity,
    },
    /// What was traded, or settled, before is in the archive from now on.
    Cutoff {
        /// Before this time, in microseconds since the beginning.
        before: i64,
    },
    /// Our clock is set.
    Turn {
        /// How far.
        us: i64,
    },
    /// The host sleeps, with whatever runs on it.
    Suspend {
        /// How long.
        us: i64,
    },
    /// Something is wrong for a while.
    Disturb {
        /// What.
        trouble: Trouble,
        /// How many of a thousand requests, or calls, it hits.
        per_mille: u64,
        /// How long.
        lasts: i64,
    },
    /// A command is run.
    Run(Command),
    /// Commands are run that overlap; each begins so long after the step.
    Together(Vec<(i64, Command)>),
}

/// What can be changed in the description of a market.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Amendment {
    /// Its title.
    Title(String),
    /// Its rules, of which the grid of its prices is one.
    Grid(&'static str),
    /// When it closes, in microseconds since the beginning: earlier or later than was said.
    Close(i64),
}

/// In what a trade can differ from how it was shown first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// Its price.
    Price,
    /// Its taker's side.
    Side,
    /// How many contracts.
    Count,
}

/// What can be wrong with a row among sound ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// A price above a dollar.
    Price,
    /// A price and its opposite that make no dollar.
    Prices,
    /// A count finer than the exchange's.
    Count,
    /// A day that there is not.
    Date,
    /// A year that is to come.
    Future,
    /// No side.
    NoSide,
    /// No id.
    NoId,
    /// No market.
    NoTicker,
    /// No object.
    Text,
    /// A byte that JSON does not allow within text.
    RawNul,
    /// Bytes that are no UTF-8.
    NoText,
    /// It breaks off.
    Cut,
}

impl Oddity {
    /// All of them.
    pub const ALL: [Oddity; 12] = [
        Oddity::Price,
        Oddity::Prices,
        Oddity::Count,
        Oddity::Date,
        Oddity::Future,
        Oddity::NoSide,
        Oddity::NoId,
        Oddity::NoTicker,
        Oddity::Text,
        Oddity::RawNul,
        Oddity::NoText,
        Oddity::Cut,
    ];
}

/// What can be wrong for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Requests of this path (a star at its end: of all that begin so) go wrong in this way.
    Fault(&'static str, Fault),
    /// A server's clock is this far ahead.
    Ahead(i64),
    /// A server shows what was known so long ago, and dates it now.
    Lagging(i64),
    /// A server shows what was known when the trouble began, and dates it now.
    Frozen,
    /// A cache answers with what it was asked before, at most so old; and says so, or not.
    Cached {
        /// The oldest answer that it gives, in microseconds.
        age_max: i64,
        /// Whether it adds an `Age`.
        is_told: bool,
    },
    /// Descriptions of markets say that this one is settled, though it trades.
    SettledTooSoon(String),
    /// Lists leave a market out.
    LeftOut(String),
    /// Descriptions say nothing of volume, or that it is none.
    NoVolume(bool),
    /// Lists end after so many rows without a cursor, though there is more.
    Cut(usize),
    /// Trading is paused; everything but the status is also down, or not.
    Paused {
        /// Whether all other routes answer 503.
        is_down: bool,
    },
    /// The database breaks off before it did what it was told.
    StoreBreaks,
    /// The database breaks off while it does what it was told.
    StoreTears,
    /// The process is killed while the database does what it was told.
    DiesInside,
    /// The database breaks off after it did what it was told.
    AckLost,
}

/// One invocation of the program.
#[derive(Clone, Debug)]
pub struct Command {
    /// What is typed.
    pub args: Vec<String>,
    /// Before which of its effects it is killed.
    pub killed_at: Option<u64>,
}

impl Command {
    /// What it is called in counts: the command, with the flags that make it another one.
    pub fn name(&self) -> String {
        let flags = ["--check", "--dry-run", "--heal", "--compare", "prometheus"];
        let mut name = self.args.first().cloned().unwrap_or_default();
        for flag in self.args.iter().filter(|arg| flags.contains(&arg.as_str())) {
            name = format!("{name} {flag}");
        }
        name
    }

    /// Whether it is this one.
    pub fn is(&self, name: &str) -> bool {
        self.name() == name
    }

    /// Whether it has to leave the database as it is.
    pub fn only_reads(&self) -> bool {
        self.name().starts_with("status") || self.args.iter().any(|arg| arg == "--dry-run")
    }

    /// Whether it is about this market.
    pub fn is_about(&self, market: &str) -> bool {
        let [name, values @ ..] = self.selection() else { return false };
        let mut values = values.iter().flat_map(|names| names.split(','));
        match name.as_str() {
            "--all" => true,
            "--market" => values.any(|name| name == market),
            _ => values
                .any(|name| market.strip_prefix(name).is_some_and(|rest| rest.starts_with('-'))),
        }
    }

    /// The flags that say what it is about.
    pub fn selection(&self) -> &[String] {
        let is_one =
            |arg: &String| ["--all", "--market", "--event", "--series"].contains(&arg.as_str());
        let Some(at) = self.args.iter().position(is_one) else { return &[] };
        let len = if self.args[at] == "--all" { 1 } else { 2 };
        &self.args[at..(at + len).min(self.args.len())]
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.args.join(" "))?;
        match self.killed_at {
            Some(effect) => write!(f, " (to be killed before effect {effect})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Open { ticker, lasts } => {
                write!(f, "{ticker} opens for {} min", lasts / MINUTE)
            }
            What::Trades { ticker, count, span, late_max } => write!(
                f,
                "{ticker} trades {count} times within {} s, shown up to {} ms late",
                span / SECOND,
                late_max / 1_000
            ),
            What::Settle { ticker } => write!(f, "{ticker} is settled"),
            What::Remove { ticker } => write!(f, "{ticker} is taken away"),
            What::Amend { ticker, amendment } => write!(f, "{ticker} is amended: {amendment:?}"),
            What::Again { of, place, otherwise } => {
                write!(f, "trade {place} of step {of} is shown again with another {otherwise:?}")
            }
            What::Odd { ticker, oddity } => write!(f, "{ticker} has an odd row: {oddity:?}"),
            What::Cutoff { before } => {
                write!(f, "what is older than {} h is in the archive", -before / HOUR)
            }
            What::Turn { us } => write!(f, "our clock is turned by {} s", us / SECOND),
            What::Suspend { us } => write!(f, "the host sleeps for {} s", us / SECOND),
            What::Disturb { trouble, per_mille, lasts } => write!(
                f,
                "trouble for {} s, of {per_mille} in a thousand: {trouble:?}",
                lasts / SECOND
            ),
            What::Run(command) => write!(f, "$ {command}"),
            What::Together(commands) => {
                f.write_str("together:")?;
                for (after, command) in commands {
                    write!(f, " [+{} s] $ {command}", after / SECOND)?;
                }
                Ok(())
            }
        }
    }
}
