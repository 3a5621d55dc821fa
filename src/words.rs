//! Text that more than one part uses: instants and durations in a form for people, and the lines for on-call.

use std::fmt::Write as _;
use std::time::Duration;

use chrono::SecondsFormat;

use crate::domain::checkpoint::Checkpoint;
use crate::domain::selection::Target;
use crate::domain::time::Timestamp;

/// A duration for people, in at most two units: `7s`, `3m 5s`, `2h 10m`, `4d 3h`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let two = |big: u64, big_unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{big}{big_unit}"),
        _ => format!("{big}{big_unit} {small}{small_unit}"),
    };
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => two(seconds / 60, "m", seconds % 60, "s"),
        3_600..86_400 => two(seconds / 3_600, "h", seconds % 3_600 / 60, "m"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

/// An instant to the second, in the form of RFC 3339.
pub fn second(instant: Timestamp) -> String {
    instant.to_chrono().to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The line for on-call about a breach: the market, its staleness, and the reason if that is known.
pub fn breach_line(checkpoint: &Checkpoint, staleness: Duration, sla: Duration) -> String {
    let market = &checkpoint.scope;
    let (staleness, sla) = (duration(staleness), duration(sla));
    let mut line = match (checkpoint.complete_until, checkpoint.checked_until) {
        (until, Some(checked)) if until < Some(checked) => format!(
            "{market} is stale: nothing was heard of it since {}, {staleness} ago (SLA {sla})",
            second(checked)
        ),
        (Some(until), _) => format!(
            "{market} is stale: complete until {}, {staleness} ago (SLA {sla})",
            second(until)
        ),
        (None, _) => format!(
            "{market} is stale: not complete since it was first selected {staleness} ago (SLA {sla})"
        ),
    };
    if let Some(error) = &checkpoint.last_error {
        // Writing to a String cannot fail.
        let _ = write!(line, "; last error: {error}");
    }
    line
}

/// The line for on-call about an entry of the selection whose markets could not be listed.
pub fn unresolved_line(target: &Target, staleness: Duration, sla: Duration) -> String {
    let name = target.name();
    let (staleness, sla) = (duration(staleness), duration(sla));
    format!(
        "{name} is stale: the exchange has not said for {staleness} which markets it has (SLA {sla}); new ones wait"
    )
}

/// The line that says that the exchange wants no more requests for now.
pub fn come_back_line(at: Timestamp) -> String {
    format!("the exchange wants to be left alone for a while; run it again after {}", second(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ticker::Ticker;

    #[test]
    fn spans_read_like_people_say_them() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (185, "3m 5s"),
            (7_800, "2h 10m"),
            (3_599, "59m 59s"),
            (356_400, "4d 3h"),
        ] {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn a_breach_names_market_staleness_and_cause() {
        let mut stale = Checkpoint::first(Ticker::new("KXA").unwrap(), Timestamp::from_seconds(0));
        stale.complete_until = Some(Timestamp::from_seconds(1_799_999_600));
        stale.last_error = Some("GET took too long".to_owned());
        let line = breach_line(&stale, Duration::from_secs(400), Duration::from_secs(300));
        assert_eq!(
            line,
            "KXA is stale: complete until 2027-01-15T07:53:20Z, 6m 40s ago (SLA 5m); last error: GET took too long"
        );
    }
}
