//! The exchange's two stores of trades.

/// Which of the exchange's two stores of trades: what is older than a cutoff, some sixty days ago,
/// is in the archive and nowhere else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Older than the cutoff.
    Archive,
    /// Newer than the cutoff.
    #[default]
    Live,
}

impl Tier {
    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Tier::Archive => "archive",
            Tier::Live => "live",
        }
    }

    /// Reads what is stored.
    pub fn parse(word: &str) -> Option<Tier> {
        [Tier::Archive, Tier::Live].into_iter().find(|tier| tier.as_str() == word)
    }
}
