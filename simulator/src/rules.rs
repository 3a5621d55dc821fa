//! The behaviour of the exchange. Every point on which the real one is unknown, or has been read in two ways, is a
//! field; the defaults are the best-supported readings.

use clap::ValueEnum;

use crate::account::Account;
use crate::public_key::PublicKey;

/// The exchange's behaviour. All fields may be changed while it runs.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches, not a state")]
pub struct Rules {
    /// Whether `max_ts` includes its second.
    pub max_ts: MaxTs,
    /// The value of `cursor` when no row follows.
    pub list_end: ListEnd,
    /// A last page that is exactly full carries a cursor, and an empty page follows.
    pub cursor_after_full_page: bool,
    /// The answer to a cursor that cannot be decoded.
    pub malformed_cursor: MalformedCursor,
    /// The meaning of `limit=0`.
    pub zero_limit: ZeroLimit,
    /// `trades_created_ts`: trades created before this second (since 1970) are historical. 0: all
    /// are live.
    pub cutoff_s: i64,
    /// `market_settled_ts`: markets settled before this second (since 1970) are archived. 0: all
    /// are live.
    pub markets_cutoff_s: i64,
    /// A market that has trades but was never added exists nevertheless: it is active, and open from a day before its
    /// first trade until a year after it became known.
    pub implicit_markets: bool,
    /// The answer of `/series/{ticker}` for a series that does not exist.
    pub unknown_series: UnknownSeries,
    /// The most rows of a page of trades, whatever the request asks for. `None`: as many as it asks for.
    pub page_rows_max: Option<usize>,
    /// `/historical/trades` also serves this many seconds from the cutoff on.
    pub historical_overlap_s: i64,
    /// `/markets/trades` still serves this many seconds before the cutoff.
    pub live_overlap_s: i64,
    /// The shape of errors other than 429.
    pub error_shape: ErrorShape,
    /// Whether answers carry `Date`, from the exchange's clock.
    pub date_header: bool,
    /// The `Age` of every answer, as a cache adds it; `None`: no such header.
    pub age_s: Option<u64>,
    /// The volume in the descriptions of markets.
    pub market_volume: MarketVolume,
    /// Whether lists of candles are empty, whatever the volume.
    pub empty_candles: bool,
    /// The seconds since 1970 between which a question about the candles of several markets begins that gets none.
    pub hidden_candles_s: Option<(i64, i64)>,
    /// The mark of the end of a body.
    pub framing: Framing,
    /// Whether bodies are compressed for clients that accept it.
    pub gzip: bool,
    /// Limit of all requests without a key together. `None`: no limit.
    pub keyless_limit: Option<RateLimit>,
    /// Limit of each key's requests. `None`: no limit.
    pub keyed_limit: Option<RateLimit>,
    /// The clock that refills the rate limits.
    pub rate_clock: RateClock,
    /// Trades added while this is on are served with fields that no version of the API has.
    pub extra_fields: bool,
    /// The answer of `/exchange/status`.
    pub exchange_status: ExchangeStatus,
    /// The answer of `/account/limits`.
    pub account: Account,
    /// Refuse every request that is not signed with the private half of this key.
    pub require_signature: Option<PublicKey>,
    /// The greatest difference between a signature's timestamp and the exchange's clock, in milliseconds. `None`: any.
    pub signature_skew_max_ms: Option<u64>,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            max_ts: MaxTs::Inclusive,
            list_end: ListEnd::EmptyString,
            cursor_after_full_page: false,
            malformed_cursor: MalformedCursor::FirstPage,
            zero_limit: ZeroLimit::Default,
            cutoff_s: 0,
            markets_cutoff_s: 0,
            implicit_markets: true,
            unknown_series: UnknownSeries::NotFound,
            page_rows_max: None,
            historical_overlap_s: 0,
            live_overlap_s: 0,
            error_shape: ErrorShape::Nested,
            date_header: true,
            age_s: None,
            market_volume: MarketVolume::Told,
            empty_candles: false,
            hidden_candles_s: None,
            framing: Framing::ContentLength,
            gzip: false,
            keyless_limit: None,
            keyed_limit: None,
            rate_clock: RateClock::Machine,
            extra_fields: false,
            exchange_status: ExchangeStatus::default(),
            account: Account::default(),
            require_signature: None,
            signature_skew_max_ms: Some(5_000),
        }
    }
}

/// The `volume_fp` of markets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarketVolume {
    /// The traded volume.
    Told,
    /// Zero, as was seen on markets that had traded.
    Zero,
    /// `null`.
    Null,
}

/// The upper bound of a time filter, at the resolution of a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MaxTs {
    /// `floor(created) <= max_ts`
    Inclusive,
    /// `floor(created) < max_ts`
    Exclusive,
}

/// The `cursor` of the last page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ListEnd {
    /// `"cursor":""`
    EmptyString,
    /// `"cursor":null`
    Null,
    /// No `cursor` at all.
    Absent,
}

/// The answer to a cursor that cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MalformedCursor {
    /// The first page, without an error.
    FirstPage,
    /// 400.
    Refused,
}

/// The answer about a series that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum UnknownSeries {
    /// 404.
    NotFound,
    /// 400, the only refusal that is documented.
    Refused,
    /// `{"series":null}`
    Null,
}

/// The meaning of `limit=0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ZeroLimit {
    /// The same as no limit.
    Default,
    /// 400.
    Refused,
}

/// The shape of an error body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ErrorShape {
    /// `{"error":{"code":…,"message":…}}`
    Nested,
    /// `{"code":…,"message":…}`
    Flat,
}

/// The way in which a body shows its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Framing {
    /// `Content-Length`
    ContentLength,
    /// `Transfer-Encoding: chunked`
    Chunked,
}

/// The clock that refills the rate limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RateClock {
    /// The machine's time, which is independent of the exchange's clock.
    Machine,
    /// The exchange's clock: for a client whose waits only move that clock.
    Exchange,
}

/// A token bucket that starts full and refills continuously.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests a second in the long run.
    pub per_second: u32,
    /// Requests that may come at once after a pause.
    pub burst: u32,
}

/// The answer of `/exchange/status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExchangeStatus {
    /// `exchange_active`
    pub exchange_active: bool,
    /// `trading_active`
    pub trading_active: bool,
    /// `exchange_estimated_resume_time`, RFC 3339; `None` is `null`.
    pub estimated_resume_time: Option<String>,
    /// Whether the answer is 503 with the same body.
    pub unavailable: bool,
}

impl Default for ExchangeStatus {
    fn default() -> ExchangeStatus {
        ExchangeStatus {
            exchange_active: true,
            trading_active: true,
            estimated_resume_time: None,
            unavailable: false,
        }
    }
}
