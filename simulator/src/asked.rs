//! The record of the requests to the exchange.

use std::collections::VecDeque;

use crate::fault::Fault;

/// The number of requests that are kept; older ones are dropped, so that an exchange run by hand does not grow.
const REQUESTS_KEPT_MAX: usize = 100_000;

/// One request and its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The method as sent: `GET`.
    pub method: String,
    /// The path with `/trade-api/v2`, without the query.
    pub path: String,
    /// The parameters, decoded, in the order sent.
    pub query: Vec<(String, String)>,
    /// The headers, names in lower case, in the order sent.
    pub headers: Vec<(String, String)>,
    /// The status of the answer; `None` if the client got no answer.
    pub status: Option<u16>,
    /// The rows of the list in the answer, whether or not all of them were delivered; 0 if the answer is no list.
    pub row_count: usize,
    /// The fault of the request; [`Fault::None`] if there was none.
    pub fault: Fault,
    /// The number of the trades request, from 1; `None` for other paths, and for requests refused earlier (no
    /// signature, rate limit).
    pub trades_request: Option<u64>,
    /// The exchange's time at the request, microseconds since 1970.
    pub asked_us: i64,
}

impl Asked {
    /// The first value of a query parameter.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        find(&self.query, name)
    }

    /// The first value of a header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

fn find<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

#[derive(Default)]
pub(crate) struct RequestLog {
    kept: VecDeque<Asked>,
}

impl RequestLog {
    pub(crate) fn push(&mut self, asked: Asked) {
        if self.kept.len() == REQUESTS_KEPT_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back(asked);
    }

    pub(crate) fn all(&self) -> Vec<Asked> {
        self.kept.iter().cloned().collect()
    }

    pub(crate) fn clear(&mut self) {
        self.kept.clear();
    }
}
