//! Seeds that are played on every run: that the same seed gives the same history, that none of some breaks
//! anything, and those that once did.

use simulate::bench::Bench;
use simulate::draw::draw;
use simulate::history::Profile;
use simulate::play::play;

/// What breaks in these seeds, by seed; nothing, if all is well.
fn broken(profile: Profile, seeds: impl IntoIterator<Item = u64>) -> Vec<(u64, String)> {
    let mut bench = Bench::new().expect("a database in memory");
    let mut broken = Vec::new();
    for seed in seeds {
        if let Some(what) = play(&draw(seed, profile), &mut bench, false).broken {
            broken.push((seed, what));
        }
    }
    broken
}

#[test]
fn the_same_seed_gives_the_same_history_on_whatever_bench() {
    let (mut first, mut second) = (Bench::new().unwrap(), Bench::new().unwrap());
    for profile in Profile::ALL {
        let mut digests = Vec::new();
        for seed in 1_000..1_004 {
            let history = draw(seed, profile);
            let once = play(&history, &mut first, false).digest;
            let again = play(&history, &mut second, true).digest;
            assert_eq!(once, again, "seed {seed} of {profile:?}, quietly and told");
            digests.push(once);
        }
        digests.dedup();
        assert_eq!(digests.len(), 4, "{profile:?}: each seed is a history of its own");
    }
}

#[test]
fn nothing_breaks_when_nothing_goes_wrong() {
    assert_eq!(broken(Profile::Calm, 1..=5), []);
}

#[test]
fn nothing_breaks_when_something_goes_wrong() {
    for profile in Profile::ALL {
        assert_eq!(broken(profile, 1..=10), [], "{profile:?}");
    }
}

#[test]
fn seeds_that_once_broke_something_do_not_any_more() {
    for (profile, seed, what) in [
        (Profile::Clocks, 2, "a wait of less than the clock's unit never ended"),
        (Profile::Clocks, 6, "a host that slept was taken for a tape that stands still"),
        (Profile::Absence, 52, "a market with stored trades was believed never to have traded"),
        (Profile::Lifecycle, 14, "a market had closed before it was selected"),
        (Profile::Kills, 55, "a pass that stands by has nothing to judge yet"),
        (Profile::Everything, 12, "the newest minutes of a tape that stood still"),
    ] {
        assert_eq!(broken(profile, [seed]), [], "{profile:?} {seed}: {what}");
    }
}

#[test]
fn what_is_planned_happens() {
    let mut bench = Bench::new().unwrap();
    let mut counts = simulate::counts::Counts::default();
    for seed in 1..=40 {
        counts.merge(&play(&draw(seed, Profile::Everything), &mut bench, false).counts);
    }
    for name in [
        "kills",
        "kills within a call of the database",
        "database: broke off before a call",
        "database: broke off within a call",
        "database: acknowledgement lost",
        "passes",
        "answers",
        "commits",
        "troubles",
        "trades stored",
        "switches between processes",
        "market: settled",
        "market: vanished",
        "market: described anew",
        "market: closes at another time",
        "archive: moved",
        "odd rows",
        "odd rows kept",
        "conflicts kept",
        "retractions",
        "answer: cut without a cursor",
        "pauses of trading",
        "answer: down for maintenance",
        "exit: run 0",
        "exit: status 0",
        "exit: status --check 0",
        "exit: backfill --dry-run 0",
        "exit: prune --dry-run 0",
        "exit: completeness --heal 0",
        "exit: orderbooks 0",
        "exit: markets 0",
        "exit: replay 0",
    ] {
        assert!(counts.of(name) > 0, "no {name} in forty histories: {counts:?}");
    }
}
