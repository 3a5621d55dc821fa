//! The selection of the user: entries that stand for one market, for many, or for the tape.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::scope::Scope;
use super::ticker::{Ticker, fingerprint};

/// The target of one entry of the selection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// One market.
    Market(Ticker),
    /// The markets of an event.
    Event(Ticker),
    /// The markets of all events of a series.
    Series(Ticker),
    /// The tape: every trade of the exchange.
    All,
}

/// The function that makes a target of one kind from its ticker.
pub type OfName = fn(Ticker) -> Target;

impl Target {
    /// The key of the target in the database.
    pub fn name(&self) -> String {
        match self {
            Target::Market(ticker) => format!("market:{ticker}"),
            Target::Event(ticker) => format!("event:{ticker}"),
            Target::Series(ticker) => format!("series:{ticker}"),
            Target::All => "all".to_owned(),
        }
    }

    /// The target with that key; `None` if the key is not valid.
    pub fn of_name(name: &str) -> Option<Target> {
        let (kind, ticker) = match name.split_once(':') {
            None => return (name == "all").then_some(Target::All),
            Some((kind, ticker)) => (kind, Ticker::new(ticker)?),
        };
        match kind {
            "market" => Some(Target::Market(ticker)),
            "event" => Some(Target::Event(ticker)),
            "series" => Some(Target::Series(ticker)),
            _ => None,
        }
    }

    /// The kind of the target, in one word.
    pub fn kind(&self) -> &'static str {
        match self {
            Target::Market(_) => "market",
            Target::Event(_) => "event",
            Target::Series(_) => "series",
            Target::All => "all",
        }
    }

    /// The label for display: the ticker as the user wrote it, `*` for the tape.
    pub fn label(&self) -> String {
        match self {
            Target::Market(ticker) | Target::Event(ticker) | Target::Series(ticker) => {
                ticker.to_string()
            }
            Target::All => "*".to_owned(),
        }
    }

    /// Whether such a target can exist. Archived markets and events hold blanks and commas, series do not.
    pub fn is_sayable(&self) -> bool {
        match self {
            Target::Series(series) => series.is_listable(),
            Target::Market(_) | Target::Event(_) | Target::All => true,
        }
    }

    /// Whether the target stands for markets that only the exchange can list.
    pub fn is_resolved(&self) -> bool {
        matches!(self, Target::Event(_) | Target::Series(_))
    }
}

/// One entry of the selection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// The target of the entry.
    pub target: Target,
    /// The largest staleness allowed for its markets.
    pub sla: Duration,
}

/// A share of all markets: number `index` of `count`, split by a stable hash of the ticker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    count: u32,
}

impl Shard {
    /// The share of all markets.
    pub const WHOLE: Shard = Shard { index: 0, count: 1 };

    /// A share; `None` unless `index` is below `count`.
    pub fn new(index: u32, count: u32) -> Option<Shard> {
        (index < count).then_some(Shard { index, count })
    }

    /// The number of shares.
    pub fn count(self) -> u32 {
        self.count
    }

    /// The text of the share in a file name.
    pub fn file_name(self) -> String {
        format!("{}-of-{}", self.index, self.count)
    }

    /// Whether the ticker belongs to this share.
    ///
    /// The hash is FNV-1a with a final mixing step, because tickers differ in their last characters only. It must
    /// never change: two shards of different builds would read a market twice or not at all.
    pub fn holds(self, ticker: &Ticker) -> bool {
        self.holds_text(ticker.as_str())
    }

    /// Whether a scope belongs to this share. The tape belongs to one share as well.
    pub fn holds_scope(self, scope: &Scope) -> bool {
        self.holds_text(scope.as_str())
    }

    fn holds_text(self, text: &str) -> bool {
        let mut hash = fingerprint(text.bytes());
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash ^= hash >> 33;
        hash % u64::from(self.count) == u64::from(self.index)
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

/// The whole selection; each target occurs once.
#[derive(Clone, Debug)]
pub struct Selection {
    watches: Vec<Watch>,
    shard: Shard,
}

impl Selection {
    /// Takes entries in any order. If two have the same target, the stricter SLA counts.
    pub fn new(entries: impl IntoIterator<Item = Watch>, shard: Shard) -> Selection {
        let mut slas: BTreeMap<Target, Duration> = BTreeMap::new();
        for Watch { target, sla } in entries {
            slas.entry(target).and_modify(|held| *held = sla.min(*held)).or_insert(sla);
        }
        let watches = slas.into_iter().map(|(target, sla)| Watch { target, sla }).collect();
        Selection { watches, shard }
    }

    /// The entries, sorted by target.
    pub fn watches(&self) -> &[Watch] {
        &self.watches
    }

    /// The share of this process.
    pub fn shard(&self) -> Shard {
        self.shard
    }

    /// The selection without the tape.
    #[must_use]
    pub fn without_all(&self) -> Selection {
        let rest = self.watches.iter().filter(|watch| watch.target != Target::All);
        Selection { watches: rest.cloned().collect(), shard: self.shard }
    }

    /// The selection without these targets.
    #[must_use]
    pub fn without(&self, refused: &BTreeSet<Target>) -> Selection {
        let rest = self.watches.iter().filter(|watch| !refused.contains(&watch.target));
        Selection { watches: rest.cloned().collect(), shard: self.shard }
    }

    /// Whether nothing was selected.
    pub fn is_empty(&self) -> bool {
        self.watches.is_empty()
    }

    /// Whether the whole exchange was selected, even if the tape belongs to another share.
    pub fn is_all(&self) -> bool {
        self.watches.iter().any(|watch| watch.target == Target::All)
    }

    /// The part of the roster that needs no answer of the exchange: named markets and the tape.
    pub fn named(&self) -> Roster {
        let mut roster = Roster::default();
        for watch in &self.watches {
            match &watch.target {
                Target::Market(ticker) => {
                    roster.add(self.shard, ticker.clone(), watch.sla, Listed::No);
                }
                Target::All => roster.add_tape(self.shard, watch.sla),
                Target::Event(_) | Target::Series(_) => {}
            }
        }
        roster
    }
}

/// Whether the exchange has just shown a market in a list of open markets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Listed {
    /// The exchange was not asked, or its list did not contain the market.
    No,
    /// The list contained the market, so it trades.
    Open,
}

/// The requirements for one selected market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// The strictest SLA of the entries that it belongs to.
    pub sla: Duration,
    /// Whether a list just showed the market as open.
    pub listed: Listed,
}

/// The roster of a pass: its markets, and the tape if it was selected.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    markets: BTreeMap<Ticker, Demand>,
    tape: Option<Demand>,
}

impl Demand {
    /// The stricter combination of both.
    fn and(self, other: Demand) -> Demand {
        Demand { sla: self.sla.min(other.sla), listed: self.listed.max(other.listed) }
    }
}

impl Roster {
    /// Adds a market that belongs to the shard. If it is on the roster already, the stricter SLA counts.
    pub fn add(&mut self, shard: Shard, ticker: Ticker, sla: Duration, listed: Listed) {
        if shard.holds(&ticker) {
            let demand = Demand { sla, listed };
            let kept = self.markets.entry(ticker).or_insert(demand);
            *kept = kept.and(demand);
        }
    }

    /// Adds the tape if it belongs to the shard.
    fn add_tape(&mut self, shard: Shard, sla: Duration) {
        if !shard.holds_scope(&Scope::Tape) {
            return;
        }
        let demand = Demand { sla, listed: Listed::No };
        self.tape = Some(self.tape.map_or(demand, |kept| kept.and(demand)));
    }

    /// Removes a market.
    pub fn remove(&mut self, ticker: &Ticker) {
        self.markets.remove(ticker);
    }

    /// The requirements for a market or the tape; `None` if it is not on the roster.
    pub fn demand(&self, scope: &Scope) -> Option<Demand> {
        match scope {
            Scope::Tape => self.tape,
            Scope::Group(_) => None,
            Scope::Market(ticker) => self.market(ticker),
        }
    }

    /// The requirements for a market; `None` if it is not on the roster.
    pub fn market(&self, ticker: &Ticker) -> Option<Demand> {
        self.markets.get(ticker).copied()
    }

    /// The markets, by ticker.
    pub fn markets(&self) -> impl Iterator<Item = (&Ticker, Demand)> {
        self.markets.iter().map(|(ticker, demand)| (ticker, *demand))
    }

    /// The tickers of the markets, sorted.
    pub fn tickers(&self) -> Vec<Ticker> {
        self.markets.keys().cloned().collect()
    }

    /// All scopes on the roster, sorted.
    pub fn scopes(&self) -> Vec<Scope> {
        let tape = self.tape.map(|_| Scope::Tape);
        tape.into_iter().chain(self.markets.keys().cloned().map(Scope::Market)).collect()
    }

    /// The number of markets; the tape counts as one.
    pub fn len(&self) -> usize {
        self.markets.len() + usize::from(self.tape.is_some())
    }

    /// Whether the roster is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticker(text: &str) -> Ticker {
        Ticker::new(text).unwrap()
    }

    #[test]
    fn every_market_belongs_to_exactly_one_shard_and_the_shares_are_even() {
        let tickers: Vec<Ticker> = (0..4_000)
            .map(|n| ticker(&format!("KXBTCD-26NOV2214-T{}.99", 90_000 + 250 * n)))
            .collect();
        for count in [1, 2, 3, 7, 16] {
            let shards: Vec<Shard> =
                (0..count).map(|index| Shard::new(index, count).unwrap()).collect();
            for ticker in &tickers {
                assert_eq!(
                    shards.iter().filter(|shard| shard.holds(ticker)).count(),
                    1,
                    "{ticker}"
                );
            }
            let even = tickers.len() / shards.len();
            for shard in shards {
                let held = tickers.iter().filter(|ticker| shard.holds(ticker)).count();
                assert!((even * 4 / 5..=even * 6 / 5).contains(&held), "{shard} holds {held}");
            }
        }
        assert!(Shard::new(4, 4).is_none() && Shard::new(0, 0).is_none());
    }

    #[test]
    fn the_split_never_changes() {
        let of_eight = |text| {
            let scope = Scope::parse(text).unwrap();
            (0..8).find(|at| Shard::new(*at, 8).unwrap().holds_scope(&scope))
        };
        let held = ["*", "KXHIGHNY-26NOV22-B50", "KXBTCD-26NOV22-T99000", "A"].map(of_eight);
        assert_eq!(held, [Some(2), Some(4), Some(6), Some(1)]);
    }

    #[test]
    fn what_is_selected_twice_is_one_with_the_stricter_sla() {
        let minutes = |count: u64| Duration::from_secs(60 * count);
        let watch = |target, sla| Watch { target, sla };
        let a = || Target::Market(ticker("A"));
        let entries =
            [watch(a(), minutes(5)), watch(Target::All, minutes(9)), watch(a(), minutes(2))];
        let selection = Selection::new(entries, Shard::WHOLE);
        assert_eq!(selection.watches(), [watch(a(), minutes(2)), watch(Target::All, minutes(9))]);
        let mut roster = selection.named();
        roster.add(Shard::WHOLE, ticker("A"), minutes(1), Listed::Open);
        assert_eq!(
            roster.market(&ticker("A")),
            Some(Demand { sla: minutes(1), listed: Listed::Open })
        );
        assert_eq!(roster.scopes(), [Scope::Tape, ticker("A").into()]);
    }

    /// The columns are: name, kind, label, whether the exchange has to list its markets, and whether it can exist.
    #[test]
    fn a_target_is_read_from_the_name_it_has_in_the_database() {
        for (name, kind, label, is_resolved, is_sayable) in [
            ("market:KXA-1", "market", "KXA-1", false, true),
            ("market:A B", "market", "A B", false, true),
            ("event:KXMVE-1", "event", "KXMVE-1", true, true),
            ("series:KXA", "series", "KXA", true, true),
            ("series:A,B", "series", "A,B", true, false),
            ("all", "all", "*", false, true),
        ] {
            let target = Target::of_name(name).unwrap();
            assert_eq!(
                (target.name(), target.kind(), target.label()),
                (name.into(), kind, label.into())
            );
            let is = (target.is_resolved(), target.is_sayable());
            assert_eq!(is, (is_resolved, is_sayable), "{name}");
        }
        for name in ["", "everything", "market", "market:", "tape:A", "all:A"] {
            assert_eq!(Target::of_name(name), None, "{name:?}");
        }
    }

    #[test]
    fn a_selection_can_do_without_some_of_it() {
        let sla = Duration::from_secs(60);
        let targets = [Target::Market(ticker("A")), Target::Series(ticker("S")), Target::All];
        let watch = |target: &Target| Watch { target: target.clone(), sla };
        let shard = Shard::new(1, 2).unwrap();
        let selection = Selection::new(targets.iter().map(watch), shard);
        let is_there = |of: &Selection| {
            let has = |target: &Target| of.watches().iter().any(|watch| watch.target == *target);
            assert_eq!(of.shard(), shard);
            (targets.each_ref().map(has), of.is_all(), of.is_empty())
        };
        assert_eq!(is_there(&selection), ([true, true, true], true, false));
        assert_eq!(is_there(&selection.without_all()), ([true, true, false], false, false));
        let refused = BTreeSet::from([targets[1].clone(), targets[2].clone()]);
        assert_eq!(is_there(&selection.without(&refused)), ([true, false, false], false, false));
        let none = selection.without(&targets.iter().cloned().collect());
        assert_eq!(is_there(&none), ([false; 3], false, true));
    }

    #[test]
    fn a_roster_holds_the_markets_of_its_shard() {
        let sla = Duration::from_secs(60);
        let shard = (0..2).filter_map(|index| Shard::new(index, 2));
        let shard = shard.into_iter().find(|shard| shard.holds(&ticker("A"))).unwrap();
        let names = ["A", "B", "C", "D"].map(ticker);
        let mut roster = Roster::default();
        assert!(roster.is_empty());
        for name in &names {
            roster.add(shard, name.clone(), sla, Listed::No);
        }
        let held: Vec<Ticker> = names.into_iter().filter(|name| shard.holds(name)).collect();
        assert_eq!((roster.len(), roster.is_empty(), roster.tickers()), (held.len(), false, held));
        assert_eq!(roster.markets().count(), roster.len());
        roster.remove(&ticker("A"));
        assert_eq!(roster.market(&ticker("A")), None);
        assert_eq!(shard.to_string().replace('/', "-of-"), shard.file_name());
        assert_eq!(Shard::new(1, 3).unwrap().to_string(), "1/3");
    }
}
