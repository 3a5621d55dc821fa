//! The command line of the simulator run by hand: one flag per switch.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use kalshi_simulator::{
    Account, ErrorShape, ExchangeStatus, Fault, Framing, LimitsShape, ListEnd, MalformedCursor,
    MaxTs, PublicKey, RateLimit, Rules, Shape, ZeroLimit,
};

use crate::fault_kind;

/// Serve a simulated Kalshi exchange: made-up or recorded trades and their markets over real HTTP.
///
/// Prints its base URL and its markets, then serves until it is killed. Durations are a number and
/// one of ms, s, m, h, d.
#[derive(Debug, Parser)]
#[command(name = "kalshi-simulator", version)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches, not a state")]
pub(crate) struct Cli {
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8099", value_name = "HOST:PORT")]
    pub(crate) listen: SocketAddr,
    /// Print one line per request to stderr
    #[arg(long, short)]
    pub(crate) verbose: bool,
    /// Stop after this long
    #[arg(long, value_name = "DURATION", value_parser = duration_us)]
    pub(crate) run_for: Option<i64>,

    /// How many markets to make up: KXSIM-M1, KXSIM-M2, …
    #[arg(long, default_value_t = 3, value_name = "N", help_heading = "Trades")]
    pub(crate) markets: usize,
    /// A market by name instead; may be repeated
    #[arg(long, value_name = "TICKER", help_heading = "Trades")]
    pub(crate) ticker: Vec<String>,
    /// Trades made up for each market
    #[arg(long, default_value_t = 5_000, value_name = "N", help_heading = "Trades")]
    pub(crate) trades: usize,
    /// The seed of the made-up trades
    #[arg(long, default_value_t = 1, value_name = "N", help_heading = "Trades")]
    pub(crate) seed: u64,
    /// How far back from now the made-up trades reach
    #[arg(long, default_value = "2h", value_name = "DURATION", value_parser = duration_us)]
    #[arg(help_heading = "Trades")]
    pub(crate) span: i64,
    /// Which era's JSON the made-up trades are served as; cents and cents-only round to whole
    /// cents and contracts
    #[arg(long, value_enum, default_value = "current", help_heading = "Trades")]
    pub(crate) shape: Shape,
    /// New trades per second while it runs, spread over the markets
    #[arg(long, default_value_t = 0, value_name = "N", help_heading = "Trades")]
    pub(crate) live: u32,
    /// New trades appear up to this long after their own time
    #[arg(long, default_value = "0s", value_name = "DURATION", value_parser = duration_us)]
    #[arg(help_heading = "Trades")]
    pub(crate) late_max: i64,
    /// Recorded trades, one JSON object a line, served byte for byte
    #[arg(long, value_name = "FILE", help_heading = "Trades")]
    pub(crate) file: Option<PathBuf>,
    /// Serve made-up trades with fields that no version of the API has
    #[arg(long, help_heading = "Trades")]
    extra_fields: bool,

    /// How many of 1000 trades requests get a fault
    #[arg(long, default_value_t = 0, value_name = "N", help_heading = "Faults")]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub(crate) fault_per_mille: u32,
    /// A kind of fault, may be repeated; without it a mix of passing ones. One of: status=CODE,
    /// too-many or too-many=SECONDS, leave-alone=STATUS/SECONDS, reset, closed, reset-mid-headers, truncated, garbage,
    /// not-trades, slow=BYTES/MS, hang=MS, huge=BYTES, repeat-cursor, refused-cursor, ignored-cursor,
    /// duplicated-rows, unordered, empty-page, redirect, close-after
    #[arg(long, value_name = "KIND", value_parser = fault_kind::parse, help_heading = "Faults")]
    pub(crate) fault: Vec<Fault>,
    /// The exchange is under maintenance: its status is 503
    #[arg(long, help_heading = "Faults")]
    down: bool,

    /// Requests per second without a key; 0 is no limit
    #[arg(long, default_value_t = 0, value_name = "N", help_heading = "Limits and keys")]
    keyless_limit: u32,
    /// Requests per second of each key; 0 is no limit
    #[arg(long, default_value_t = 0, value_name = "N", help_heading = "Limits and keys")]
    keyed_limit: u32,
    /// Requests that may come at once; as many as a second allows if not given
    #[arg(long, value_name = "N", help_heading = "Limits and keys")]
    burst: Option<u32>,
    /// The tier that `/account/limits` names
    #[arg(long, default_value = "basic", value_name = "TIER", help_heading = "Limits and keys")]
    usage_tier: String,
    /// The limit of reads that it names: in tokens a second, ten for a request; flat: in requests
    #[arg(long, default_value_t = 200, value_name = "N", help_heading = "Limits and keys")]
    read_rate: i64,
    /// The shape of its answer
    #[arg(long, value_enum, default_value = "nested", help_heading = "Limits and keys")]
    limits_shape: LimitsShape,
    /// Refuse requests not signed by this key: a PEM file of a PUBLIC KEY, RSA or Ed25519
    #[arg(long, value_name = "FILE", requires = "key_id", help_heading = "Limits and keys")]
    pub(crate) public_key: Option<PathBuf>,
    /// The id of that key
    #[arg(long, value_name = "ID", requires = "public_key", help_heading = "Limits and keys")]
    key_id: Option<String>,
    /// How far a signature's timestamp may be from the exchange's clock
    #[arg(long, default_value = "5s", value_name = "DURATION", value_parser = duration_us)]
    #[arg(help_heading = "Limits and keys")]
    skew_max: i64,

    /// Trades and settlements older than this are historical; without it all are live
    #[arg(long, value_name = "DURATION", value_parser = duration_us, help_heading = "Rules")]
    pub(crate) cutoff_ago: Option<i64>,
    /// The historical tier also serves this long from the cutoff on
    #[arg(long, default_value = "0s", value_name = "DURATION", value_parser = duration_us)]
    #[arg(help_heading = "Rules")]
    historical_overlap: i64,
    /// The live tier still serves this long before the cutoff
    #[arg(long, default_value = "0s", value_name = "DURATION", value_parser = duration_us)]
    #[arg(help_heading = "Rules")]
    live_overlap: i64,
    /// Whether the upper time bound includes its second
    #[arg(long, value_enum, default_value = "inclusive", help_heading = "Rules")]
    max_ts: MaxTs,
    /// The cursor of the last page
    #[arg(long, value_enum, default_value = "empty-string", help_heading = "Rules")]
    list_end: ListEnd,
    /// A last page that is exactly full carries a cursor, and an empty page follows
    #[arg(long, help_heading = "Rules")]
    cursor_after_full_page: bool,
    /// The answer to a cursor that cannot be decoded
    #[arg(long, value_enum, default_value = "first-page", help_heading = "Rules")]
    malformed_cursor: MalformedCursor,
    /// The meaning of limit=0
    #[arg(long, value_enum, default_value = "default", help_heading = "Rules")]
    zero_limit: ZeroLimit,
    /// How errors are written
    #[arg(long, value_enum, default_value = "nested", help_heading = "Rules")]
    error_shape: ErrorShape,
    /// Leave Date out of the answers
    #[arg(long, help_heading = "Rules")]
    no_date: bool,
    /// Send bodies chunked instead of with Content-Length
    #[arg(long, help_heading = "Rules")]
    chunked: bool,
    /// Compress bodies for clients that accept gzip
    #[arg(long, help_heading = "Rules")]
    gzip: bool,
    /// Run the exchange's clock this far ahead of the machine's; negative: behind
    #[arg(long, default_value = "0s", value_name = "DURATION", value_parser = duration_us)]
    #[arg(allow_hyphen_values = true, help_heading = "Rules")]
    pub(crate) clock_offset: i64,
}

impl Cli {
    /// The rules that the flags ask for; `key_pem` is the text of the public key's file.
    pub(crate) fn rules(&self, key_pem: Option<&str>, now_us: i64) -> Result<Rules, String> {
        let key_id = self.key_id.as_deref().unwrap_or_default();
        let require_signature = key_pem.map(|pem| PublicKey::from_pem(key_id, pem)).transpose()?;
        let second_us = 1_000_000;
        let cutoff_s = self.cutoff_ago.map_or(0, |ago_us| (now_us - ago_us) / second_us);
        Ok(Rules {
            max_ts: self.max_ts,
            list_end: self.list_end,
            cursor_after_full_page: self.cursor_after_full_page,
            malformed_cursor: self.malformed_cursor,
            zero_limit: self.zero_limit,
            cutoff_s,
            markets_cutoff_s: cutoff_s,
            historical_overlap_s: self.historical_overlap / second_us,
            live_overlap_s: self.live_overlap / second_us,
            error_shape: self.error_shape,
            date_header: !self.no_date,
            framing: if self.chunked { Framing::Chunked } else { Framing::ContentLength },
            gzip: self.gzip,
            keyless_limit: self.rate_limit(self.keyless_limit),
            keyed_limit: self.rate_limit(self.keyed_limit),
            extra_fields: self.extra_fields,
            exchange_status: ExchangeStatus {
                exchange_active: !self.down,
                trading_active: !self.down,
                unavailable: self.down,
                ..ExchangeStatus::default()
            },
            account: Account {
                tier: self.usage_tier.clone(),
                read_rate: self.read_rate,
                grants: Vec::new(),
                shape: self.limits_shape,
            },
            require_signature,
            signature_skew_max_ms: Some((self.skew_max / 1_000).unsigned_abs()),
            ..Rules::default()
        })
    }

    /// The markets that get made-up trades.
    pub(crate) fn tickers(&self) -> Vec<String> {
        if self.ticker.is_empty() {
            (1..=self.markets).map(|number| format!("KXSIM-M{number}")).collect()
        } else {
            self.ticker.clone()
        }
    }

    fn rate_limit(&self, per_second: u32) -> Option<RateLimit> {
        let burst = self.burst.unwrap_or(per_second);
        (0 < per_second).then_some(RateLimit { per_second, burst })
    }
}

/// The microseconds of a duration such as `90s`.
fn duration_us(text: &str) -> Result<i64, String> {
    let digits = text.trim_start_matches('-').trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &text[text.len() - text.trim_start_matches('-').len() + digits.len()..];
    let unit_us: i64 = match unit {
        "ms" => 1_000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => return Err("a duration is a number and one of ms, s, m, h, d".to_owned()),
    };
    let count: i64 = text[..text.len() - unit.len()].parse().map_err(|_| "not a whole number")?;
    count.checked_mul(unit_us).ok_or_else(|| "too long".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn without_flags_the_rules_are_the_default_ones() {
        let cli = Cli::parse_from(["kalshi-simulator"]);
        let rules = cli.rules(None, 1_790_000_000_000_000).unwrap();
        assert_eq!(format!("{rules:?}"), format!("{:?}", Rules::default()));
    }

    #[test]
    fn durations_are_read() {
        for (text, us) in [
            ("250ms", Some(250_000)),
            ("2h", Some(7_200_000_000)),
            ("-5s", Some(-5_000_000)),
            ("60d", Some(5_184_000_000_000)),
            ("5", None),
            ("s", None),
            ("1.5s", None),
            ("--5s", None),
            ("9999999999999999d", None),
        ] {
            assert_eq!(duration_us(text).ok(), us, "{text}");
        }
    }
}
