//! The exchange's two stores of trades.

/// One of the two stores of trades of the exchange. Trades older than a cutoff, some sixty days ago, are only in the
/// archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Trades older than the cutoff.
    Archive,
    /// Trades newer than the cutoff.
    #[default]
    Live,
}

impl Tier {
    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Tier::Archive => "archive",
            Tier::Live => "live",
        }
    }

    /// Reads the word in the database.
    pub fn parse(word: &str) -> Option<Tier> {
        [Tier::Archive, Tier::Live].into_iter().find(|tier| tier.as_str() == word)
    }
}
