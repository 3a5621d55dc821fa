//! The name of a market.

use std::fmt;
use std::sync::Arc;

/// The ticker of a market. A clone is cheap: all trades of a page share one text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticker(Arc<str>);

/// The longest ticker that the specification of the exchange allows.
const TICKER_LEN_MAX: usize = 200;
/// The text of the tape in a column that otherwise holds tickers.
pub(super) const TAPE: &str = "*";

impl Ticker {
    /// A ticker; `None` unless the text has 1 to 200 ASCII characters, visible ones and blanks between them. Archived
    /// tickers hold blanks, commas and `>`. The texts of a [scope](super::scope) that is no market are no tickers.
    pub fn new(text: &str) -> Option<Ticker> {
        let is_ticker = (1..=TICKER_LEN_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
            && !text.starts_with(' ')
            && !text.ends_with(' ')
            && !is_reserved(text);
        is_ticker.then(|| Ticker(Arc::from(text)))
    }

    /// Whether a list question of the exchange can name the ticker. Such lists are split at commas, and find nothing
    /// for a ticker with a blank. A question about one ticker can name any.
    pub fn is_listable(&self) -> bool {
        !self.0.contains([',', ' '])
    }

    /// The ticker's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether the text is reserved for a scope that is no market.
fn is_reserved(text: &str) -> bool {
    text == TAPE || is_group(text)
}

/// Whether the text is that of a group: `*`, sixteen digits of its fingerprint, `-`, and the number of its markets.
pub(super) fn is_group(text: &str) -> bool {
    let parts = text.strip_prefix(TAPE).and_then(|rest| rest.split_once('-'));
    parts.is_some_and(|(hash, count)| {
        hash.len() == 16
            && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
            && !count.is_empty()
            && count.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// FNV-1a. It is the same in every build, because names and shares depend on it.
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
