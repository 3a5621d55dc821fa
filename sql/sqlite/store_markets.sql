-- An answer older than the one on record stores nothing, unless that one is from a future: a clock
-- that was ahead once must not keep out what is said until then. Nothing else writes meanwhile, so what
-- is joined is what is on record.
insert into prediction_markets (
    source, market_ticker, event_ticker, series_ticker, title, status, result, open_time, close_time,
    expected_expiration_time, latest_expiration_time, settlement_time, settlement_value_e4, volume_e2,
    price_level_structure, payload, observed_at, ended_at, first_seen_at, updated_at, checked_at
)
select
    ?1,
    ?2,
    ?3,
    coalesce(?4, m.series_ticker, e.series_ticker),
    ?5,
    ?6,
    ?7,
    ?8,
    ?9,
    ?10,
    ?11,
    ?12,
    ?13,
    ?14,
    ?15,
    ?16,
    ?17,
    case when ?18 then coalesce(m.ended_at, ?17) end,
    ?19,
    ?19,
    ?19
from (select 1) as o
left join prediction_markets m on m.source = ?1 and m.market_ticker = ?2
left join prediction_events e on e.source = ?1 and e.event_ticker = ?3
where true
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
    settlement_value_e4 = excluded.settlement_value_e4,
    volume_e2 = excluded.volume_e2,
    price_level_structure = excluded.price_level_structure,
    payload = excluded.payload,
    updated_at = excluded.updated_at,
    observed_at = excluded.observed_at,
    checked_at = excluded.checked_at,
    missing_since = null,
    ended_at = excluded.ended_at
where
    prediction_markets.observed_at <= excluded.observed_at
    or prediction_markets.observed_at > strftime('%Y-%m-%dT%H:%M:%f000Z', ?19, '+1 hour')
