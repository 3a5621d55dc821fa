//! Counts of the events that really happened: a drawn plan proves nothing.

use std::collections::BTreeMap;

/// Counts by name.
#[derive(Clone, Debug, Default)]
pub struct Counts(BTreeMap<String, u64>);

impl Counts {
    /// Adds one.
    pub fn one(&mut self, name: &str) {
        self.more(name, 1);
    }

    /// Adds this number.
    pub fn more(&mut self, name: &str, count: u64) {
        match self.0.get_mut(name) {
            Some(sum) => *sum += count,
            None => {
                self.0.insert(name.to_owned(), count);
            }
        }
    }

    /// The count of this name.
    pub fn of(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// Adds the counts of another history.
    pub fn merge(&mut self, other: &Counts) {
        for (name, count) in &other.0 {
            self.more(name, *count);
        }
    }

    /// All counts, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, count)| (name.as_str(), *count))
    }
}
