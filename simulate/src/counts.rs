//! What really happened: a plan that was drawn proves nothing.

use std::collections::BTreeMap;

/// Counts by name.
#[derive(Clone, Debug, Default)]
pub struct Counts(BTreeMap<String, u64>);

impl Counts {
    /// One more.
    pub fn one(&mut self, name: &str) {
        self.more(name, 1);
    }

    /// So many more.
    pub fn more(&mut self, name: &str, count: u64) {
        match self.0.get_mut(name) {
            Some(sum) => *sum += count,
            None => {
                self.0.insert(name.to_owned(), count);
            }
        }
    }

    /// How many there are.
    pub fn of(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// Adds those of another history.
    pub fn merge(&mut self, other: &Counts) {
        for (name, count) in &other.0 {
            self.more(name, *count);
        }
    }

    /// By name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, count)| (name.as_str(), *count))
    }
}
