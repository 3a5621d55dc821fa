//! What the operator has to know about, and what not.

use kalshi_simulator::{Fault, Rules, Status};

use super::{asked, invoke, open_market, pairs, process, statuses};
use crate::support::bench::{Bench, stderr};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    pooled:
    names_that_nobody_has_are_named_and_stop_nothing,
    a_series_without_markets_is_no_mistake,
    a_client_that_is_turned_away_asks_once,
    a_quiet_sync_says_nothing,
}

fn names_that_nobody_has_are_named_and_stop_nothing(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    for (market, event) in
        [("KXM-1-GOOD", "KXM-1"), ("KXE-GOOD-1", "KXE-GOOD"), ("KXSGOOD-1-A", "KXSGOOD-1")]
    {
        bench.exchange.add_market(open_market(market, event));
    }
    let flags = [
        "--market",
        "KXM-1-BAD,KXM-1-GOOD,KXM-1-WORSE",
        "--event",
        "KXE-BAD,KXE-GOOD",
        "--series",
        "KXSBAD,KXSGOOD",
    ];
    for round in ["first", "again"] {
        let output = process(&bench, "markets", &flags);
        assert_eq!(output.status.code(), Some(2), "{round}: {}", stderr(&output));
        let error = stderr(&output);
        for name in ["market KXM-1-BAD", "market KXM-1-WORSE", "event KXE-BAD", "series KXSBAD"] {
            let said = format!("the exchange knows no {name};");
            assert_eq!(error.matches(&said).count(), 1, "{round}: {name} once in {error}");
        }
        assert!(!error.contains("GOOD"), "{round}: {error}");
        assert!(output.stdout.is_empty(), "{round}: stdout is for answers");
        let good = [("KXE-GOOD-1", "active"), ("KXM-1-GOOD", "active"), ("KXSGOOD-1-A", "active")];
        assert_eq!(statuses(database), pairs(&good), "{round}: the others are synced");
    }
    let named =
        "select count(*) as x from ingestion_runs where exit_code = 2 and error like '%KXE-BAD%'";
    assert_eq!(database.number(named), 2, "the first of them is on record");
    bench.exchange.add_market(open_market("KXSBAD-1-A", "KXSBAD-1"));
    assert_eq!(invoke(&bench, "markets", &["--series", "KXSBAD"]), 0, "as soon as it is there");
}

fn a_series_without_markets_is_no_mistake(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    bench.exchange.add_series("KXNEW", "Nothing yet");
    bench.exchange.add_group("KXOTHER-1", "KXOTHER", "Nothing either");
    let flags = ["--series", "KXNEW", "--event", "KXOTHER-1"];
    assert_eq!(invoke(&bench, "markets", &flags), 0);
    bench.exchange.add_market(open_market("KXNEW-1-A", "KXNEW-1"));
    bench.exchange.change_market("KXNEW-1-A", |_| {});
    assert_eq!(invoke(&bench, "markets", &flags), 0);
    assert_eq!(statuses(database), pairs(&[("KXNEW-1-A", "active")]), "met as a change");
}

fn a_client_that_is_turned_away_asks_once(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    bench.exchange.fail_always("*", Some(Fault::Status(403)));
    let flags = ["-q", "--series", "KXA,KXB", "--event", "KXC-1", "--market", "KXD-1-A"];
    let output = process(&bench, "markets", &flags);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert_eq!(stderr(&output).lines().count(), 1, "one line: {}", stderr(&output));
    assert_eq!(asked(&bench).len(), 1, "nobody needs to ask again");
}

fn a_quiet_sync_says_nothing(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    bench.exchange.add_market(open_market("KXA-1-A", "KXA-1"));
    let output = process(&bench, "markets", &["-q", "--series", "KXA"]);
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
    bench.exchange.change_market("KXA-1-A", |market| market.status = Some(Status::Inactive));
    let output = process(&bench, "markets", &["--series", "KXA"]);
    let said = stderr(&output);
    assert!(said.contains("synced metadata: markets=1 status_changes=1"), "{said}");
    assert!(
        said.contains("sync ended") && said.contains("markets=1 requests=1 retries=0"),
        "{said}"
    );
    assert!(output.stdout.is_empty(), "stdout is for answers");
}
