-- name: load_over_series
-- Markets that are over and may be looked at again: the longest unseen of those that ended lately,
-- and the longest unseen of all.
select *
from (
    select
        market_ticker, status, series_ticker is not null as has_series, open_time, close_time, settlement_time,
        ended_at, checked_at, missing_since, volume_e2, observed_at
    from prediction_markets
    where source = ?1 and series_ticker = ?2 and status in ('finalized', 'vanished') and ended_at >= ?3
    order by checked_at, market_ticker
    limit ?4
) as lately
union
select *
from (
    select
        market_ticker, status, series_ticker is not null as has_series, open_time, close_time, settlement_time,
        ended_at, checked_at, missing_since, volume_e2, observed_at
    from prediction_markets
    where source = ?1 and series_ticker = ?2 and status in ('finalized', 'vanished')
    order by checked_at, market_ticker
    limit ?4
) as unseen

-- name: load_over_event
-- Markets that are over and may be looked at again: the longest unseen of those that ended lately,
-- and the longest unseen of all.
select *
from (
    select
        market_ticker, status, series_ticker is not null as has_series, open_time, close_time, settlement_time,
        ended_at, checked_at, missing_since, volume_e2, observed_at
    from prediction_markets
    where source = ?1 and event_ticker = ?2 and status in ('finalized', 'vanished') and ended_at >= ?3
    order by checked_at, market_ticker
    limit ?4
) as lately
union
select *
from (
    select
        market_ticker, status, series_ticker is not null as has_series, open_time, close_time, settlement_time,
        ended_at, checked_at, missing_since, volume_e2, observed_at
    from prediction_markets
    where source = ?1 and event_ticker = ?2 and status in ('finalized', 'vanished')
    order by checked_at, market_ticker
    limit ?4
) as unseen

-- name: series_of_events
-- ?2 is a JSON list of events: SQLite has no arrays.
select event_ticker, series_ticker, title
from prediction_events
where source = ?1 and event_ticker in (select value from json_each(?2))

-- name: load_markets
-- ?2 is a JSON list of tickers: SQLite has no arrays.
select
    market_ticker, status, series_ticker is not null as has_series, open_time, close_time, settlement_time,
    ended_at, checked_at, missing_since, volume_e2, observed_at
from prediction_markets
where source = ?1 and market_ticker in (select value from json_each(?2))

-- name: load_unsettled
select
    market_ticker, status, series_ticker is not null as has_series, open_time, close_time, settlement_time,
    ended_at, checked_at, missing_since, volume_e2, observed_at
from prediction_markets
where source = ?1 and status not in ('finalized', 'vanished')
order by market_ticker

-- name: load_unsettled_series
select
    market_ticker, status, series_ticker is not null as has_series, open_time, close_time, settlement_time,
    ended_at, checked_at, missing_since, volume_e2, observed_at
from prediction_markets
where source = ?1 and series_ticker = ?2 and status not in ('finalized', 'vanished')
order by market_ticker

-- name: load_unsettled_event
select
    market_ticker, status, series_ticker is not null as has_series, open_time, close_time, settlement_time,
    ended_at, checked_at, missing_since, volume_e2, observed_at
from prediction_markets
where source = ?1 and event_ticker = ?2 and status not in ('finalized', 'vanished')
order by market_ticker

-- name: load_lifespans
-- Markets by series, event, name or none of these, whose life may touch a span.
select market_ticker, series_ticker, open_time, close_time, status, volume_e2, observed_at
from prediction_markets
where
    source = ?1
    and (?2 is null or series_ticker = ?2)
    and (?3 is null or event_ticker = ?3)
    and (open_time is null or open_time < ?5)
    and (close_time is null or close_time >= ?4)
    and (?6 is null or market_ticker in (select value from json_each(?6)))
order by market_ticker

-- name: events_without_series
select distinct event_ticker
from prediction_markets
where source = ?1 and series_ticker is null
order by event_ticker

-- name: store_events
insert into prediction_events (source, event_ticker, series_ticker, title, updated_at)
values (?1, ?2, ?3, ?4, ?5)
on conflict (source, event_ticker) do update
set
    series_ticker = excluded.series_ticker,
    title = excluded.title,
    updated_at = excluded.updated_at

-- name: name_series
-- Comes after store_events: the markets of this event that were stored without a series.
update prediction_markets
set
    series_ticker = e.series_ticker,
    updated_at = ?3
from prediction_events e
where
    e.source = ?1
    and e.event_ticker = ?2
    and prediction_markets.source = ?1
    and prediction_markets.event_ticker = ?2
    and prediction_markets.series_ticker is null

-- name: insert_changes
-- Comes before store_markets, and compares with what is on record until then.
insert into market_status_changes (source, market_ticker, status, previous_status, observed_at)
select
    ?1,
    ?2,
    ?3,
    m.status,
    ?4
from (select 1) as o
left join prediction_markets m on m.source = ?1 and m.market_ticker = ?2
where
    m.status is null
    or (
        m.status <> ?3
        and (m.observed_at <= ?4 or m.observed_at > strftime('%Y-%m-%dT%H:%M:%f000Z', ?5, '+1 hour'))
    )

-- name: insert_term_changes
-- Comes before store_markets, as insert_changes does.
with known as (
    select terms
    from prediction_markets
    where
        source = ?1
        and market_ticker = ?2
        and terms <> ?3
        and (observed_at <= ?4 or observed_at > strftime('%Y-%m-%dT%H:%M:%f000Z', ?5, '+1 hour'))
),
fields as (
    select j.key as field from known, json_each(known.terms) as j
    union
    select j.key from known, json_each(?3) as j
)
insert into market_changes (source, market_ticker, field, previous_value, value, observed_at)
select
    ?1,
    ?2,
    f.field,
    json_extract(k.terms, '$.' || f.field),
    json_extract(?3, '$.' || f.field),
    ?4
from known k, fields f
where json_extract(k.terms, '$.' || f.field) is not json_extract(?3, '$.' || f.field)

-- name: store_markets
-- An answer older than the one on record stores nothing, unless that one is from a future: a clock
-- that was ahead once must not keep out what is said until then. Nothing else writes meanwhile, so what
-- is joined is what is on record.
insert into prediction_markets (
    source, market_ticker, event_ticker, series_ticker, title, status, result, open_time, close_time,
    expected_expiration_time, latest_expiration_time, settlement_time, settlement_value_e4, volume_e2,
    price_level_structure, payload, observed_at, ended_at, yes_label, terms, first_seen_at, updated_at, checked_at
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
    ?20,
    ?21,
    ?21,
    ?21
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
    ended_at = excluded.ended_at,
    yes_label = excluded.yes_label,
    terms = excluded.terms
where
    prediction_markets.observed_at <= excluded.observed_at
    or prediction_markets.observed_at > strftime('%Y-%m-%dT%H:%M:%f000Z', ?21, '+1 hour')

-- name: touch_markets
-- Comes after store_markets: what is still newer than its sighting was found all the same.
update prediction_markets
set
    checked_at = ?4,
    missing_since = null
where source = ?1 and market_ticker = ?2 and observed_at > ?3

-- name: insert_vanishings
-- Comes before vanish_markets, which has the same condition.
insert into market_status_changes (source, market_ticker, status, previous_status, observed_at)
select
    source,
    market_ticker,
    'vanished',
    status,
    ?3
from prediction_markets
where source = ?1 and market_ticker = ?2 and status not in ('finalized', 'vanished')

-- name: vanish_markets
-- What was paid out is over already, and its status says more.
update prediction_markets
set
    status = 'vanished',
    ended_at = ?3,
    updated_at = ?3
where source = ?1 and market_ticker = ?2 and status not in ('finalized', 'vanished')

-- name: note_absences
update prediction_markets
set
    missing_since = coalesce(missing_since, ?3),
    checked_at = ?3
where source = ?1 and market_ticker = ?2
