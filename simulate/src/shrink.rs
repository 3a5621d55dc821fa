//! Makes a history that violates an invariant as short as possible, with the same violation.

use crate::bench::Bench;
use crate::history::{History, MINUTE, What};
use crate::play::play;

/// The most histories that are tried.
const TRIES_MAX: usize = 400;

/// The shortest history that was found with the same violation.
pub fn shrink(history: &History, bench: &mut Bench) -> History {
    let mut best = history.clone();
    let mut tries = 0;
    let Some(kind) = play(history, bench, false).broken.as_deref().map(kind) else { return best };
    let mut is_broken = |history: &History, tries: &mut usize| {
        *tries += 1;
        *tries <= TRIES_MAX
            && play(history, bench, false).broken.as_deref().map(self::kind) == Some(kind.clone())
    };
    // The events during the last passes have to stay: without them there would be silence, which is no freshness.
    let is_pinned =
        |history: &History, place: usize| history.steps[place].at >= history.ends_at - 4 * MINUTE;
    let mut size = (best.steps.len() / 2).max(1);
    loop {
        let mut at = 0;
        while at < best.steps.len() {
            let mut shorter = best.clone();
            let end = (at + size).min(shorter.steps.len());
            let mut place = 0;
            shorter.steps.retain(|_| {
                place += 1;
                !(at..end).contains(&(place - 1)) || is_pinned(&best, place - 1)
            });
            if shorter.steps.len() == best.steps.len() {
                at += size;
                continue;
            }
            if is_broken(&shorter, &mut tries) {
                best = shorter;
            } else {
                at += size;
            }
        }
        if size == 1 || tries > TRIES_MAX {
            break;
        }
        size = (size / 2).max(1);
    }
    for place in 0..best.steps.len() {
        let mut milder = best.clone();
        let What::Run(command) = &mut milder.steps[place].what else { continue };
        if command.killed_at.take().is_some() && is_broken(&milder, &mut tries) {
            best = milder;
        }
    }
    best
}

/// The violation without the names, times and numbers in it.
fn kind(broken: &str) -> String {
    let is_word = |word: &&str| {
        word.starts_with("Exit") || word.chars().all(|letter| letter.is_ascii_lowercase())
    };
    broken.split([' ', ',']).filter(is_word).collect::<Vec<_>>().join(" ")
}
