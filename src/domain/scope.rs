//! The scope of a question, a walk, a checkpoint or a slice. It is text only in its column.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use super::ticker::{TAPE, Ticker, fingerprint, is_group};

/// The scope that is read. Scopes sort as their texts do: both databases and the search for a stored row rely on it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The tape: all markets of the exchange, read without a ticker.
    Tape,
    /// The tape, read for some markets only.
    Group(GroupId),
    /// One market.
    Market(Ticker),
}

/// The identity of a group: the markets for which the tape is read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupId(Arc<str>);

impl GroupId {
    /// The group of these markets: a fingerprint of their tickers in this order, and their number. The text never
    /// changes: a run of another build has to find the slices of the same markets again.
    pub fn of(markets: &[Ticker]) -> GroupId {
        let hash =
            fingerprint(markets.iter().flat_map(|market| market.as_str().bytes().chain([0])));
        GroupId(format!("{TAPE}{hash:016x}-{}", markets.len()).into())
    }
}

impl Scope {
    /// Reads the text of a column; `None` if it is not the text of a scope.
    pub fn parse(text: &str) -> Option<Scope> {
        match text {
            TAPE => Some(Scope::Tape),
            _ if is_group(text) => Some(Scope::Group(GroupId(text.into()))),
            _ => Ticker::new(text).map(Scope::Market),
        }
    }

    /// The text in its column.
    pub fn as_str(&self) -> &str {
        match self {
            Scope::Tape => TAPE,
            Scope::Group(group) => &group.0,
            Scope::Market(ticker) => ticker.as_str(),
        }
    }

    /// Whether the scope is the tape for all markets.
    pub fn is_tape(&self) -> bool {
        matches!(self, Scope::Tape)
    }

    /// The market; None if the scope is not one market.
    pub fn market(&self) -> Option<&Ticker> {
        match self {
            Scope::Market(ticker) => Some(ticker),
            Scope::Tape | Scope::Group(_) => None,
        }
    }

    /// Whether the scope is the market with this ticker.
    pub fn is_market(&self, ticker: &Ticker) -> bool {
        self.market() == Some(ticker)
    }

    /// Whether a trade of this market belongs to the scope.
    pub fn holds(&self, ticker: &Ticker) -> bool {
        self.market().is_none_or(|own| own == ticker)
    }
}

impl Ord for Scope {
    fn cmp(&self, other: &Scope) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl PartialOrd for Scope {
    fn partial_cmp(&self, other: &Scope) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<Ticker> for Scope {
    fn from(ticker: Ticker) -> Scope {
        Scope::Market(ticker)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tickers(names: &[&str]) -> Vec<Ticker> {
        names.iter().filter_map(|name| Ticker::new(name)).collect()
    }

    /// The ledger holds this text: a run of another build has to find the slices of the same markets again.
    #[test]
    fn the_text_of_a_group_never_changes() {
        let name = |names: &[&str]| Scope::Group(GroupId::of(&tickers(names))).to_string();
        assert_eq!(name(&["KXA", "KXB"]), "*46e708897c4f7d6e-2");
        assert_ne!(name(&["KXA", "KXB"]), name(&["KXAK", "XB"]), "where one ends counts");
    }

    #[test]
    fn a_scope_is_read_as_it_was_stored() {
        let group = Scope::Group(GroupId::of(&tickers(&["KXA"])));
        for scope in [Scope::Tape, group, Scope::Market(Ticker::new("KXA-1").unwrap())] {
            assert_eq!(Scope::parse(scope.as_str()), Some(scope));
        }
        for text in ["", "a\tb", " KXA"] {
            assert_eq!(Scope::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn no_ticker_is_read_as_another_scope() {
        for (text, is_ticker) in [
            ("*", false),
            ("*46e708897c4f7d6e-2", false),
            ("*46e708897c4f7d6e-", true),
            ("*46e708897c4f7d6-2", true),
            ("*46e708897c4f7d6g-2", true),
            ("*A", true),
            ("KX*", true),
        ] {
            assert_eq!(Ticker::new(text).is_some(), is_ticker, "{text}");
            let is_market = Scope::parse(text).is_some_and(|scope| scope.market().is_some());
            assert_eq!(is_market, is_ticker, "{text}");
        }
    }

    #[test]
    fn scopes_are_sorted_as_their_texts_are() {
        let group = Scope::Group(GroupId::of(&tickers(&["KXA"])));
        let market = |name: &str| Scope::Market(Ticker::new(name).unwrap());
        let sorted = [
            market("!X"),
            Scope::Tape,
            group,
            market("*A"),
            market("0"),
            market("KXA"),
            market("a"),
        ];
        assert!(sorted.is_sorted());
        assert!(sorted.iter().map(Scope::as_str).is_sorted());
    }

    #[test]
    fn the_tape_holds_the_trades_of_all_markets_and_a_market_its_own() {
        let [own, other] = ["KXA", "KXB"].map(|name| Ticker::new(name).unwrap());
        assert!(Scope::Tape.holds(&own) && Scope::Group(GroupId::of(&[])).holds(&own));
        assert!(Scope::Market(own.clone()).holds(&own));
        assert!(!Scope::Market(own.clone()).holds(&other));
        assert!(Scope::Market(own.clone()).is_market(&own) && !Scope::Tape.is_market(&own));
    }
}
