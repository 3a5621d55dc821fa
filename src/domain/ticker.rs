//! The name of a market.

use std::fmt;
use std::sync::Arc;

/// A market's ticker. Cheap to clone: every trade of a page shares one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticker(Arc<str>);

/// The longest ticker the exchange's specification allows.
const TICKER_LEN_MAX: usize = 200;
/// The text of the tape, where a market's ticker may stand as well.
pub(super) const TAPE: &str = "*";

impl Ticker {
    /// `None` unless it is 1 to 200 ASCII characters, visible ones and blanks between them: archived
    /// tickers hold blanks, commas and `>`. The texts of a [scope](super::scope) that is no market are no tickers.
    pub fn new(text: &str) -> Option<Ticker> {
        let is_ticker = (1..=TICKER_LEN_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
            && !text.starts_with(' ')
            && !text.ends_with(' ')
            && !is_reserved(text);
        is_ticker.then(|| Ticker(Arc::from(text)))
    }

    /// Whether a list of the exchange can name it: those are split at commas, and find nothing for
    /// a ticker with a blank. Questions about one ticker can name any.
    pub fn is_listable(&self) -> bool {
        !self.0.contains([',', ' '])
    }

    /// The ticker's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a text is reserved for a scope that is no market: no ticker is written so.
fn is_reserved(text: &str) -> bool {
    text == TAPE || is_group(text)
}

/// Whether a text is that of a group: `*`, sixteen digits of its fingerprint, and how many markets it has.
pub(super) fn is_group(text: &str) -> bool {
    let parts = text.strip_prefix(TAPE).and_then(|rest| rest.split_once('-'));
    parts.is_some_and(|(hash, count)| {
        hash.len() == 16
            && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
            && !count.is_empty()
            && count.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// FNV-1a: the same in every build, since names and shares rest on it.
pub(super) fn fingerprint(bytes: impl IntoIterator<Item = u8>) -> u64 {
    let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, step)
}

impl fmt::Display for Ticker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Ticker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
