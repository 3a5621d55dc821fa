//! What the passes of a shard remember of the exchange behind a host.

use super::time::Timestamp;

/// A row of `exchange_records`. What was never noted is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExchangeRecord {
    /// The `Date` of the last answer, by the exchange's clock.
    pub told_date: Option<Timestamp>,
    /// Our clock at that answer.
    pub told_at: Option<Timestamp>,
    /// The exchange's clock minus ours in seconds, when both last moved alike.
    pub offset_seconds: Option<f64>,
    /// The time of the tape's newest trade.
    pub newest_at: Option<Timestamp>,
    /// The id of the tape's newest trade.
    pub newest_id: Option<String>,
    /// In which share of the recent passes the newest trade had moved.
    pub moved_share: Option<f64>,
    /// How many passes ago it last moved.
    pub still_passes: u32,
    /// Where the archive ended.
    pub cutoff: Option<Timestamp>,
    /// Our clock when that was asked.
    pub cutoff_at: Option<Timestamp>,
    /// Our clock when the exchange was last asked whether it trades.
    pub status_at: Option<Timestamp>,
    /// What it answered.
    pub is_trading: Option<bool>,
    /// When the exchange may be asked again.
    pub come_back: ComeBack,
}

/// Until when the exchange asked to be left alone, and when it was last asked all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ComeBack {
    /// Our clock before which the exchange wants no request.
    pub at: Option<Timestamp>,
    /// Our clock at the request that heard so, or at the last probe since.
    pub probed_at: Option<Timestamp>,
}
