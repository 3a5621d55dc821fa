//! Faults in the notation of the command line.

use std::str::FromStr;

use kalshi_simulator::{Fault, RetryAfter};

/// Faults that end by themselves and that any client has to survive.
pub(crate) const PASSING: [Fault; 6] = [
    Fault::Status(500),
    Fault::Status(503),
    Fault::TooMany { retry_after: None },
    Fault::Reset,
    Fault::Closed,
    Fault::Truncated,
];

pub(crate) fn parse(text: &str) -> Result<Fault, String> {
    let (name, argument) = text.split_once('=').unwrap_or((text, ""));
    let fault = match (name, argument) {
        ("status", code) => Fault::Status(number(code)?),
        ("too-many", "") => Fault::TooMany { retry_after: None },
        ("too-many", seconds) => {
            Fault::TooMany { retry_after: Some(RetryAfter::Seconds(number(seconds)?)) }
        }
        ("leave-alone", steps) => {
            let (status, seconds) = steps.split_once('/').ok_or("leave-alone=STATUS/SECONDS")?;
            let retry_after = RetryAfter::Seconds(number(seconds)?);
            Fault::LeaveAlone { status: number(status)?, retry_after }
        }
        ("slow", steps) => {
            let (bytes, ms) = steps.split_once('/').ok_or("slow=BYTES/MS")?;
            Fault::SlowBody { bytes_per_step: number(bytes)?, pause_ms: number(ms)? }
        }
        ("hang", ms) => Fault::Hang { ms: number(ms)? },
        ("huge", bytes) => Fault::Huge { bytes: number(bytes)? },
        ("reset", "") => Fault::Reset,
        ("closed", "") => Fault::Closed,
        ("reset-mid-headers", "") => Fault::ResetMidHeaders,
        ("truncated", "") => Fault::Truncated,
        ("garbage", "") => Fault::Garbage,
        ("not-trades", "") => Fault::NotTrades,
        ("repeat-cursor", "") => Fault::RepeatCursor,
        ("refused-cursor", "") => Fault::RefusedCursor,
        ("ignored-cursor", "") => Fault::IgnoredCursor,
        ("duplicated-rows", "") => Fault::DuplicatedRows,
        ("unordered", "") => Fault::Unordered,
        ("empty-page", "") => Fault::EmptyPageWithCursor,
        ("empty-list", "") => Fault::EmptyList,
        ("ignored-filters", "") => Fault::IgnoredFilters,
        ("redirect", "") => Fault::Redirect,
        ("close-after", "") => Fault::CloseAfter,
        _ => return Err("no such kind of fault; see --help".to_owned()),
    };
    Ok(fault)
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} is not a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_read() {
        for (text, fault) in [
            ("status=502", Some(Fault::Status(502))),
            ("too-many=3", Some(Fault::TooMany { retry_after: Some(RetryAfter::Seconds(3)) })),
            (
                "leave-alone=503/3600",
                Some(Fault::LeaveAlone { status: 503, retry_after: RetryAfter::Seconds(3_600) }),
            ),
            ("slow=10/5", Some(Fault::SlowBody { bytes_per_step: 10, pause_ms: 5 })),
            ("empty-page", Some(Fault::EmptyPageWithCursor)),
            ("status", None),
            ("reset=1", None),
            ("slow=10", None),
            ("none", None),
        ] {
            assert_eq!(parse(text).ok(), fault, "{text}");
        }
    }
}
