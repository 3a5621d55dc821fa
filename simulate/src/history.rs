//! A history as data: its world, its events and its commands. This module runs nothing.

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
/// The beginning of every history, since 1970.
pub const BEGINS_AT: i64 = 1_793_620_800 * SECOND;

/// The main subject of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Profile {
    /// Nothing goes wrong.
    Calm,
    /// Servers that differ, caches, jumps of our clock, hosts that sleep.
    Clocks,
    /// Empty lists, lists of other markets, lists that leave a market out; wrong descriptions.
    Absence,
    /// Kills, overlapping passes, lost answers of the database to commits.
    Kills,
    /// Markets that open, close and settle; changing selections; backfills, replays, prunes.
    Lifecycle,
    /// All subjects.
    Everything,
}

impl Profile {
    /// All profiles, in the order of their numbers.
    pub const ALL: [Profile; 6] = [
        Profile::Calm,
        Profile::Clocks,
        Profile::Absence,
        Profile::Kills,
        Profile::Lifecycle,
        Profile::Everything,
    ];

    /// Whether histories of this profile include the subject of `about`.
    pub fn has(self, about: Profile) -> bool {
        self == about || self == Profile::Everything
    }
}

/// A whole history.
#[derive(Clone, Debug)]
pub struct History {
    /// The seed from which all of it is drawn.
    pub seed: u64,
    /// The profile of its subject.
    pub profile: Profile,
    /// The rules of the exchange without trouble.
    pub rules: Rules,
    /// The steps, in the order of time.
    pub steps: Vec<Step>,
    /// The selection at the end, as flags of a command.
    pub selection: Vec<String>,
    /// The staleness that passes allow.
    pub sla: i64,
    /// The time at which all trouble and all trading have ended.
    pub ends_at: i64,
    /// The time without commands before the last passes, so that lasting effects have ended.
    pub rest: i64,
}

/// One event of a history.
#[derive(Clone, Debug)]
pub struct Step {
    /// The number of the step, the seed of its randomness.
    pub id: u64,
    /// The time, in microseconds since the beginning.
    pub at: i64,
    /// The event.
    pub what: What,
}

impl Step {
    /// Whether lists hide markets, or trades of markets, during the step.
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

    /// Whether, from this step on, one server of several is further behind than the time that a backfill lets settle.
    pub fn is_far_behind_at_times(&self) -> bool {
        let always = 1_000;
        matches!(&self.what, What::Disturb { per_mille, .. } if *per_mille < always)
            && self.is_far_behind()
    }

    /// Whether, from this step on, a server is further behind than the distance that walks read again.
    pub fn is_far_behind(&self) -> bool {
        match &self.what {
            What::Disturb { trouble: Trouble::Lagging(us), .. } => *us > 100 * SECOND,
            What::Disturb { trouble: Trouble::Frozen, .. } => true,
            _ => false,
        }
    }
}

/// The possible events.
#[derive(Clone, Debug)]
pub enum What {
    /// A market is listed and open.
    Open {
        /// The name of the market.
        ticker: String,
        /// The time for which it trades.
        lasts: i64,
    },
    /// A market trades.
    Trades {
        /// The market.
        ticker: String,
        /// The number of trades.
        count: usize,
        /// The time within which they happen.
        span: i64,
        /// The greatest delay before a trade is shown.
        late_max: i64,
    },
    /// A market is settled.
    Settle {
        /// The market.
        ticker: String,
    },
    /// The exchange removes a market; its trades stay.
    Remove {
        /// The market.
        ticker: String,
    },
    /// The description of a market changes.
    Amend {
        /// The market.
        ticker: String,
        /// The change.
        amendment: Amendment,
    },
    /// A trade is shown with other values from now on.
    Again {
        /// The step that made it.
        of: u64,
        /// Its position among the trades of that step.
        place: usize,
        /// The value that differs.
        otherwise: Otherwise,
    },
    /// The tape of a market gets a row that cannot be read as a trade.
    Odd {
        /// The market.
        ticker: String,
        /// The error in the row.
        oddity: Oddity,
    },
    /// From now on, older trades and older settled markets are in the archive.
    Cutoff {
        /// The archive cutoff, in microseconds since the beginning.
        before: i64,
    },
    /// Our clock is set.
    Turn {
        /// The difference, in microseconds.
        us: i64,
    },
    /// The host sleeps, with all processes on it.
    Suspend {
        /// The duration.
        us: i64,
    },
    /// A trouble lasts for a while.
    Disturb {
        /// The trouble.
        trouble: Trouble,
        /// The share of requests or calls that it hits, in thousandths.
        per_mille: u64,
        /// The duration.
        lasts: i64,
    },
    /// A command is run.
    Run(Command),
    /// Commands are run that overlap; each has its delay after the step.
    Together(Vec<(i64, Command)>),
}

/// A change in the description of a market.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Amendment {
    /// Its title.
    Title(String),
    /// The rules of the market, which include the grid of its prices.
    Grid(&'static str),
    /// The closing time, in microseconds since the beginning: earlier or later than described before.
    Close(i64),
}

/// The value in which a trade differs from its first appearance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// The price.
    Price,
    /// The taker's side.
    Side,
    /// The number of contracts.
    Count,
}

/// An error in a row among valid ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// A price above a dollar.
    Price,
    /// A price and its opposite that do not add up to a dollar.
    Prices,
    /// A count with more decimals than the exchange uses.
    Count,
    /// A date that does not exist.
    Date,
    /// A year in the future.
    Future,
    /// A row without a side.
    NoSide,
    /// A row without an id.
    NoId,
    /// A row without a market.
    NoTicker,
    /// A row that is no object.
    Text,
    /// A byte that JSON does not allow within text.
    RawNul,
    /// Bytes that are not UTF-8.
    NoText,
    /// A row that ends in the middle.
    Cut,
}

impl Oddity {
    /// All errors.
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

/// The troubles that last for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Requests of this path (with a star at its end: of all paths with this beginning) get this fault.
    Fault(&'static str, Fault),
    /// The clock of a server is ahead by this much.
    Ahead(i64),
    /// A server shows the state of this long ago, with the present date.
    Lagging(i64),
    /// A server shows the state of the beginning of the trouble, with the present date.
    Frozen,
    /// A cache repeats earlier answers up to an age, with or without an `Age`.
    Cached {
        /// The age of the oldest answer that it repeats, in microseconds.
        age_max: i64,
        /// Whether it adds an `Age`.
        is_told: bool,
    },
    /// Descriptions show this market as settled, though it trades.
    SettledTooSoon(String),
    /// Lists leave a market out.
    LeftOut(String),
    /// Descriptions have no volume, or a volume of zero.
    NoVolume(bool),
    /// Lists end after this many rows without a cursor, though there are more.
    Cut(usize),
    /// Trading is paused. The routes other than the status may be down, too.
    Paused {
        /// Whether all other routes answer 503.
        is_down: bool,
    },
    /// The database connection breaks before a call takes effect.
    StoreBreaks,
    /// The database connection breaks during a call.
    StoreTears,
    /// The process is killed during a call of the database.
    DiesInside,
    /// The database connection breaks after a call has taken effect.
    AckLost,
}

/// One invocation of the program.
#[derive(Clone, Debug)]
pub struct Command {
    /// The arguments.
    pub args: Vec<String>,
    /// The number of the effect before which the process is killed.
    pub killed_at: Option<u64>,
}

impl Command {
    /// The name of the command in counts, with the flags that change its meaning.
    pub fn name(&self) -> String {
        let flags = ["--check", "--dry-run", "--heal", "--compare", "prometheus"];
        let mut name = self.args.first().cloned().unwrap_or_default();
        for flag in self.args.iter().filter(|arg| flags.contains(&arg.as_str())) {
            name = format!("{name} {flag}");
        }
        name
    }

    /// Whether it is the command of this name.
    pub fn is(&self, name: &str) -> bool {
        self.name() == name
    }

    /// Whether it must not change the database.
    pub fn only_reads(&self) -> bool {
        self.name().starts_with("status") || self.args.iter().any(|arg| arg == "--dry-run")
    }

    /// Whether its selection includes this market.
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

    /// The flags of its selection.
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
