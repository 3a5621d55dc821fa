//! A database that has been at work for a while, as SQL. The bigger one has been at work for longer: what is open or
//! recent is the same in both.

use kalshi_ingest::domain::ticker::Ticker;
use kalshi_ingest::domain::time::Timestamp;

/// Our clock, in Unix seconds. Everything on record is older.
pub(super) const NOW: i64 = 1_790_000_000;
/// A trade every ten seconds.
pub(super) const TRADE_SECONDS: i64 = 10;
/// The trades of a market, one after the other; then the next market trades.
pub(super) const TRADES_PER_MARKET: i64 = 10;
/// The markets that are not over: the newest.
pub(super) const ACTIVE: i64 = 50;

pub(super) fn now() -> Timestamp {
    Timestamp::from_seconds(NOW)
}

pub(super) fn ago(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(NOW - seconds)
}

/// A market, the newest first: ten make an event, and all are of one series.
pub(super) fn market(number: i64) -> Ticker {
    Ticker::new(&format!("KXT-{}-{number}", number / 10)).unwrap()
}

/// The id of a trade, the newest first. Ids are in no order, as those of the exchange.
pub(super) fn trade_id(number: i64) -> String {
    format!("{:07}", number * 7_919 % 1_000_003)
}

/// The statements that fill the tables of PostgreSQL with so many trades, and with what comes with them.
pub(super) fn postgres(trades: i64) -> String {
    postgres_of_exchange(trades) + &postgres_notes(trades)
}

/// The market of the trade `i`, in SQL.
fn by_trade() -> String {
    format!("'KXT-' || i / {TRADES_PER_MARKET} / 10 || '-' || i / {TRADES_PER_MARKET}")
}

/// The market `i`, in SQL.
fn by_number() -> String {
    "'KXT-' || i / 10 || '-' || i".to_owned()
}

/// The same for what the exchange says.
fn postgres_of_exchange(trades: i64) -> String {
    let begin = format!("to_timestamp({NOW})");
    let (by_trade, by_number) = (by_trade(), by_number());
    let markets = trades / TRADES_PER_MARKET;
    format!(
        "insert into prediction_market_trades
            (source, trade_id, market_ticker, side, price, quantity, traded_at, is_block_trade, run_id, ingested_at)
        select 'kalshi', lpad((i * 7919 % 1000003)::text, 7, '0'), {by_trade}, 'yes', 50, 1,
            {begin} - i * interval '{TRADE_SECONDS} seconds', false, 1, {begin} - i * interval '{TRADE_SECONDS} seconds'
        from generate_series({trades} - 1, 0, -1) as i;

        insert into raw_kalshi_trade_events (run_id, received_at, market_ticker, trade_id, payload, rejected)
        select 1, {begin} - i * interval '{TRADE_SECONDS} seconds', {by_trade},
            lpad((i * 7919 % 1000003)::text, 7, '0'), json_build_object('number', i),
            case when i % 100 = 7 then 'count_fp is missing' end
        from generate_series({trades} - 1, 0, -1) as i;

        insert into trade_counts (source, market_ticker, trades, last_trade_at)
        select source, market_ticker, count(*), max(traded_at) from prediction_market_trades group by 1, 2;
        insert into trade_hours (market_ticker, starts_at, source)
        select distinct market_ticker, date_trunc('hour', traded_at at time zone 'UTC') at time zone 'UTC', source
        from prediction_market_trades;

        insert into ingestion_checkpoints (source, market_ticker, complete_until, last_trade_at, last_success_at,
            anchor_at, retired_at, first_selected_at, updated_at)
        select 'kalshi', {by_number}, {begin} - i * interval '5 minutes', {begin} - i * interval '5 minutes', {begin},
            {begin} - i * interval '5 minutes', case when i >= {ACTIVE} then {begin} - i * interval '4 minutes' end,
            {begin} - i * interval '6 minutes', {begin}
        from generate_series({markets} - 1, 0, -1) as i;
        insert into ingestion_checkpoints (source, market_ticker, complete_until, first_selected_at, updated_at)
        values ('kalshi', '*', {begin}, {begin}, {begin});

        insert into prediction_markets (source, market_ticker, event_ticker, series_ticker, title, status, open_time,
            close_time, volume, payload, first_seen_at, updated_at, observed_at, checked_at, ended_at, score, scored_at)
        select 'kalshi', {by_number}, 'KXT-' || i / 10, case when i not between 30 and 39 then 'KXT' end, 'A market',
            case when i < {ACTIVE} then 'active' else 'finalized' end, {begin} - i * interval '6 minutes',
            {begin} - i * interval '4 minutes', 30, json_build_object('number', i), {begin}, {begin}, {begin},
            {begin} - i * interval '1 minute', case when i >= {ACTIVE} then {begin} - i * interval '4 minutes' end,
            case when i < {ACTIVE} then 0.9 else 0.5 end,
            {begin} - i * interval '1 minute' - case when i < {ACTIVE} then interval '0' else interval '40 days' end
        from generate_series({markets} - 1, 0, -1) as i;
        insert into prediction_events (source, event_ticker, series_ticker, title, updated_at)
        select 'kalshi', 'KXT-' || i, 'KXT', 'An event', {begin}
        from generate_series({markets} / 10 - 1, 0, -1) as i where i <> 3;
        insert into market_status_changes (source, market_ticker, status, previous_status, observed_at)
        select 'kalshi', {by_trade}, 'active', 'initialized', {begin} - i * interval '1 minute'
        from generate_series({trades} - 1, 0, -10) as i;"
    )
}

/// The same for what the passes and the other commands note.
fn postgres_notes(trades: i64) -> String {
    let begin = format!("to_timestamp({NOW})");
    let (by_trade, by_number) = (by_trade(), by_number());
    let markets = trades / TRADES_PER_MARKET;
    format!(
        "insert into selection_watches (source, watch, first_selected_at, resolved_at, synced_until, sla_seconds,
            selected_at)
        select 'kalshi', watch, {begin}, {begin}, {begin}, 120, {begin}
        from unnest(array['all', 'series:KXT', 'event:KXT-0', 'market:KXT-0-1']) as watch;
        insert into selection_members (source, watch, market_ticker, joined_at)
        select 'kalshi', 'series:KXT', {by_number}, {begin} from generate_series(0, {ACTIVE} - 1) as i;
        insert into refused_names (source, name, first_refused_at, checked_at)
        select 'kalshi', 'market:NONE-' || i, {begin}, {begin} from generate_series(1, {markets}) as i;

        insert into ingestion_runs (command, started_at, finished_at, exit_code, markets, requests, retries, pages,
            events_ingested, events_duplicate, events_rejected, events_conflicting, ingestion_lag_seconds, tape_trades,
            tape_seconds, overlap_used_seconds, overlap_seconds)
        select 'run', {begin} - i * interval '1 minute', {begin} - i * interval '1 minute', 0, 50, 10, 0, 10, 6, 0,
            0, 0, 3, 600, 60, 1, 60
        from generate_series({trades} - 1, 1, -1) as i;
        insert into ingestion_totals (source, metric, reason, total) values ('kalshi', 'requests', '', {trades})
        on conflict do nothing;
        insert into exchange_records (source, shard, host, newest_at, offset_seconds, updated_at)
        values ('kalshi', '0/1', 'api:443', {begin}, 0.1, {begin});

        insert into ingestion_windows (source, market_ticker, tier, window_from, window_until, status, created_at,
            updated_at)
        select 'kalshi', {by_trade}, 'live', {begin} - (i + 1) * interval '1 hour', {begin} - i * interval '1 hour',
            'complete', {begin}, {begin}
        from generate_series({trades} - 1, 0, -10) as i;
        insert into completeness_scores (source, market_ticker, window_from, window_until, stored_quantity,
            exchange_quantity, score, basis, scored_at)
        select 'kalshi', {by_trade}, {begin}, {begin} + interval '1 hour', 1, 1, 1, 'candles',
            {begin} - i * interval '1 minute'
        from generate_series({trades} - 1, 0, -10) as i;
        insert into orderbook_snapshots (source, market_ticker, captured_at, yes_depth, no_depth, levels)
        select 'kalshi', {by_trade}, {begin} - i * interval '1 minute', 1, 1, '{{}}'
        from generate_series({trades} - 1, 0, -10) as i;
        insert into market_candles (source, market_ticker, interval_minutes, ends_at, volume, is_final, fetched_at)
        select 'kalshi', {by_trade}, 60, {begin} - i * interval '1 hour', 1, true, {begin}
        from generate_series({trades} - 1, 0, -10) as i;
        insert into claim_corrections (source, market_ticker, claim, claimed, reason, run_id, corrected_at)
        select 'kalshi', {by_trade}, 'complete_until', {begin}, 'A reason', 1, {begin} - i * interval '1 minute'
        from generate_series({trades} - 1, 0, -10) as i;
        insert into replay_places (source, target, bounds, after_event, updated_at)
        select 'kalshi', 'trades_' || i, '../..', 1, {begin} from generate_series(1, {markets}) as i;"
    )
}

/// The statements that fill the tables of SQLite with so many trades, and with what comes with them. It is for
/// statistics alone.
pub(super) fn sqlite(trades: i64) -> String {
    let markets = trades / TRADES_PER_MARKET;
    let numbers = |count: i64| {
        format!(
            "with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < {count}),
            t(i, m, e, at) as (select i, 'KXT-' || (i / {TRADES_PER_MARKET}), 'KXT-' || (i / 100),
                strftime('%Y-%m-%dT%H:%M:%S.000000Z', {NOW} - i * {TRADE_SECONDS}, 'unixepoch') from n)"
        )
    };
    let (by_trade, by_market) = (numbers(trades), numbers(markets));
    format!(
        "begin;
        insert into prediction_market_trades (source, trade_id, market_ticker, side, price_e4, quantity_e2, traded_at,
            run_id, ingested_at)
        {by_trade} select 'kalshi', 'id' || (i * 7919 % 1000003), m, 'yes', 500000, 100, at, 1, at from t;
        insert into raw_kalshi_trade_events (run_id, received_at, market_ticker, trade_id, payload)
        {by_trade} select 1, at, m, 'id' || (i * 7919 % 1000003), '{{}}' from t;
        insert into trade_counts (source, market_ticker, trades, last_trade_at)
        select source, market_ticker, count(*), max(traded_at) from prediction_market_trades group by 1, 2;
        insert into trade_hours (market_ticker, starts_at, source)
        select distinct market_ticker, substr(traded_at, 1, 13) || ':00:00.000000Z', source
        from prediction_market_trades;
        insert into ingestion_checkpoints (source, market_ticker, last_trade_at, retired_at, first_selected_at,
            updated_at)
        {by_market} select 'kalshi', 'KXT-' || i, at, iif(i >= {ACTIVE}, at, null), at, at from t;
        insert into prediction_markets (source, market_ticker, event_ticker, series_ticker, status, payload,
            first_seen_at, updated_at, observed_at, checked_at, ended_at, score, scored_at)
        {by_market} select 'kalshi', 'KXT-' || i, 'KXT-' || (i / 10), 'KXT', iif(i < {ACTIVE}, 'active', 'finalized'),
            '{{}}', at, at, at, at, iif(i >= {ACTIVE}, at, null), 0.5, at from t;
        insert into prediction_events (source, event_ticker, series_ticker, updated_at)
        {by_market} select 'kalshi', 'KXT-' || i, 'KXT', at from t;
        insert into ingestion_runs (command, started_at, finished_at)
        {by_trade} select 'run', at, at from t where i > 0 order by i desc;
        insert into ingestion_windows (source, market_ticker, tier, window_from, window_until, status, created_at,
            updated_at)
        {by_trade} select 'kalshi', m, 'live', at, '2099', 'complete', at, at from t;
        insert into selection_watches (source, watch, first_selected_at, selected_at, sla_seconds)
        {by_market} select 'kalshi', 'market:' || m, at, at, 120 from t where i < 20 group by m;
        insert into selection_members (source, watch, market_ticker, joined_at)
        {by_market} select 'kalshi', 'series:KXT', 'KXT-' || i, at from t;
        insert into refused_names (source, name, first_refused_at, checked_at)
        {by_market} select 'kalshi', 'market:NONE-' || i, at, at from t;
        commit;"
    )
}
