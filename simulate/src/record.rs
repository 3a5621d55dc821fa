//! The record of a history while it runs: always a digest, and a story if it is wanted.

use std::fmt;

use crate::history::{BEGINS_AT, SECOND};
use crate::random::mix;

/// The digest and, if wanted, the story.
#[derive(Debug, Default)]
pub struct Record {
    digest: u64,
    story: Option<Vec<String>>,
}

impl Record {
    /// A record, with or without the story.
    pub fn new(is_told: bool) -> Record {
        Record { digest: 0, story: is_told.then(Vec::new) }
    }

    /// Whether the story is wanted.
    pub fn is_told(&self) -> bool {
        self.story.is_some()
    }

    /// Adds a number to the digest.
    pub fn note(&mut self, number: u64) {
        self.digest = mix(self.digest.rotate_left(5) ^ number);
    }

    /// Adds bytes to the digest.
    pub fn note_bytes(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            self.note(u64::from_le_bytes(word.try_into().unwrap_or_default()));
        }
        let rest = words.remainder().iter().fold(1_u64, |sum, byte| sum << 8 | u64::from(*byte));
        self.note(rest);
    }

    /// Adds an event of this time to the story, if it is wanted.
    pub fn tell(&mut self, at: i64, words: fmt::Arguments<'_>) {
        if let Some(story) = &mut self.story {
            let since = at - BEGINS_AT;
            let (minutes, us) = (since / (60 * SECOND), since % (60 * SECOND));
            story.push(format!(
                "{minutes:4}:{:02}.{:03} {words}",
                us / SECOND,
                us % SECOND / 1_000
            ));
        }
    }

    /// The digest and the story.
    pub fn finish(self) -> (u64, Vec<String>) {
        (self.digest, self.story.unwrap_or_default())
    }
}
