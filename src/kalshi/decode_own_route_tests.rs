//! Decoding of an answer about one market or one event that was asked for by name.

use super::*;

const NOW: Timestamp = Timestamp::from_seconds(1_785_000_000);

fn ticker(name: &str) -> Ticker {
    Ticker::new(name).unwrap()
}

fn market_body(name: &str) -> String {
    format!(r#"{{"market":{{"ticker":"{name}","event_ticker":"KX","status":"active"}}}}"#)
}

#[test]
fn only_an_answer_about_the_market_that_was_asked_for_is_one() {
    let asked = ticker("KX-A");
    let page = market_of(market_body("KX-A").as_bytes(), &asked, NOW).unwrap().unwrap();
    let found: Vec<&Ticker> = page.markets.iter().map(|sighting| &sighting.market.ticker).collect();
    assert_eq!((found, page.tickers.as_slice()), (vec![&asked], [asked.clone()].as_slice()));
    assert_eq!((page.markets[0].seen_at, page.first_unreadable), (NOW, None));
    let failure = market_of(market_body("KX-B").as_bytes(), &asked, NOW).unwrap_err();
    assert_eq!(failure.kind, Kind::ExchangeUnreadable);
    assert_eq!(failure.to_string(), "KX-A was asked for, and the answer is about KX-B");
    assert!(market_of(br#"{"market":null}"#, &asked, NOW).unwrap().is_none(), "there is none");
}

#[test]
fn only_an_answer_about_the_event_that_was_asked_for_is_one() {
    let asked = ticker("KX-26");
    let body = |event: &str, series: &str| {
        format!(
            r#"{{"event":{{"event_ticker":"{event}","series_ticker":"{series}","title":"T"}}}}"#
        )
    };
    let event = event_of(body("KX-26", "KX").as_bytes(), &asked).unwrap().unwrap();
    assert_eq!(
        (&*event.event_ticker, &*event.series, event.title.as_deref()),
        ("KX-26", "KX", Some("T"))
    );
    for wrong in [body("KX-27", "KX"), body("KX-26", "")] {
        let failure = event_of(wrong.as_bytes(), &asked).unwrap_err();
        assert_eq!(failure.kind, Kind::ExchangeUnreadable, "{wrong}");
    }
    assert_eq!(event_of(br#"{"event":null}"#, &asked).unwrap(), None);
}

#[test]
fn a_market_that_is_nested_too_deep_is_unreadable_by_its_own_route_as_well() {
    let asked = Ticker::new("KX-A").unwrap();
    let nest = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let body = format!(
        r#"{{"market":{{"ticker":"KX-A","event_ticker":"KX","status":"active","x":{nest}}}}}"#
    );
    let page = market_of(body.as_bytes(), &asked, Timestamp::from_seconds(0)).unwrap().unwrap();
    assert!(page.markets.is_empty());
    let reason = page.first_unreadable.unwrap();
    assert!(reason.starts_with("it is nested too deep"), "{reason}");
}
