-- An answer older than the one on record stores nothing, unless that one is from a future: a clock
-- that was ahead once must not keep out what is said until then. Nothing else writes meanwhile, so
-- what is joined is what is on record. Products, because a quotient of numerics is rounded.
insert into prediction_markets (
    source, market_ticker, event_ticker, series_ticker, title, status, result, open_time, close_time,
    expected_expiration_time, latest_expiration_time, settlement_time, settlement_value, volume,
    price_level_structure, payload, observed_at, ended_at, first_seen_at, updated_at, checked_at
)
select
    $1,
    o.market_ticker,
    o.event_ticker,
    coalesce(o.series_ticker, m.series_ticker, e.series_ticker),
    o.title,
    o.status,
    o.result,
    o.open_time,
    o.close_time,
    o.expected_expiration_time,
    o.latest_expiration_time,
    o.settlement_time,
    o.settlement_value_e4 * 0.0001,
    o.volume_e2 * 0.01,
    o.price_level_structure,
    o.payload::json,
    o.observed_at,
    case when o.is_over then coalesce(m.ended_at, o.observed_at) end,
    $19,
    $19,
    $19
from unnest(
    $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[], $9::timestamptz[],
    $10::timestamptz[], $11::timestamptz[], $12::timestamptz[], $13::integer[], $14::bigint[], $15::text[],
    $16::text[], $17::timestamptz[], $18::boolean[]
) as o (
    market_ticker, event_ticker, series_ticker, title, status, result, open_time, close_time,
    expected_expiration_time, latest_expiration_time, settlement_time, settlement_value_e4, volume_e2,
    price_level_structure, payload, observed_at, is_over
)
left join prediction_markets m on m.source = $1 and m.market_ticker = o.market_ticker
left join prediction_events e on e.source = $1 and e.event_ticker = o.event_ticker
on conflict (source, market_ticker) do update
set
    event_ticker = excluded.event_ticker,
    series_ticker = excluded.series_ticker,
    title = excluded.title,
    status = excluded.status,
    result = excluded.result,
    open_time = excluded.open_time,
    close_time = excluded.close_time,
    expected_expiration_time = excluded.expected_expiration_time,
    latest_expiration_time = excluded.latest_expiration_time,
    settlement_time = excluded.settlement_time,
    settlement_value = excluded.settlement_value,
    volume = excluded.volume,
    price_level_structure = excluded.price_level_structure,
    payload = excluded.payload,
    updated_at = excluded.updated_at,
    observed_at = excluded.observed_at,
    checked_at = excluded.checked_at,
    missing_since = null,
    ended_at = excluded.ended_at
where
    prediction_markets.observed_at <= excluded.observed_at
    or prediction_markets.observed_at > $19::timestamptz + interval '1 hour'
