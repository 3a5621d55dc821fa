-- name: load_over_series
-- Markets that are over and may be looked at again: the longest unseen of those that ended lately,
-- and the longest unseen of all.
select *
from (
    select
        market_ticker, status, series_ticker is not null as has_series, open_time, close_time, settlement_time,
        ended_at, checked_at, missing_since, (volume * 100)::bigint as volume_e2, observed_at
    from prediction_markets
    where source = $1 and series_ticker = $2 and status in ('finalized', 'vanished') and ended_at >= $3
    order by checked_at, market_ticker
    limit $4
) as lately
union
select *
from (
    select
        market_ticker, status, series_ticker is not null as has_series, open_time, close_time, settlement_time,
        ended_at, checked_at, missing_since, (volume * 100)::bigint as volume_e2, observed_at
    from prediction_markets
    where source = $1 and series_ticker = $2 and status in ('finalized', 'vanished')
    order by checked_at, market_ticker
    limit $4
) as unseen

-- name: load_over_event
-- Markets that are over and may be looked at again: the longest unseen of those that ended lately,
-- and the longest unseen of all.
select *
from (
    select
        market_ticker, status, series_ticker is not null as has_series, open_time, close_time, settlement_time,
        ended_at, checked_at, missing_since, (volume * 100)::bigint as volume_e2, observed_at
    from prediction_markets
    where source = $1 and event_ticker = $2 and status in ('finalized', 'vanished') and ended_at >= $3
    order by checked_at, market_ticker
    limit $4
) as lately
union
select *
from (
    select
        market_ticker, status, series_ticker is not null as has_series, open_time, close_time, settlement_time,
        ended_at, checked_at, missing_since, (volume * 100)::bigint as volume_e2, observed_at
    from prediction_markets
    where source = $1 and event_ticker = $2 and status in ('finalized', 'vanished')
    order by checked_at, market_ticker
    limit $4
) as unseen

-- name: series_of_events
with wanted as materialized (
    select distinct
        $1::text as source,
        event_ticker
    from unnest($2::text[]) as t (event_ticker)
)
select e.event_ticker, e.series_ticker, e.title
from wanted w
join prediction_events e on e.source = w.source and e.event_ticker = w.event_ticker

-- name: load_markets
with wanted as materialized (
    select distinct
        $1::text as source,
        market_ticker
    from unnest($2::text[]) as t (market_ticker)
)
select
    m.market_ticker, status, series_ticker is not null as has_series, open_time, close_time, settlement_time,
    ended_at, checked_at, missing_since, (volume * 100)::bigint as volume_e2, observed_at
from wanted w
join prediction_markets m on m.source = w.source and m.market_ticker = w.market_ticker

-- name: load_unsettled
select
    market_ticker, status, series_ticker is not null as has_series, open_time, close_time, settlement_time,
    ended_at, checked_at, missing_since, (volume * 100)::bigint as volume_e2, observed_at
from prediction_markets
where source = $1 and status not in ('finalized', 'vanished')
order by market_ticker

-- name: load_unsettled_series
select
    market_ticker, status, series_ticker is not null as has_series, open_time, close_time, settlement_time,
    ended_at, checked_at, missing_since, (volume * 100)::bigint as volume_e2, observed_at
from prediction_markets
where source = $1 and series_ticker = $2 and status not in ('finalized', 'vanished')
order by market_ticker

-- name: load_unsettled_event
select
    market_ticker, status, series_ticker is not null as has_series, open_time, close_time, settlement_time,
    ended_at, checked_at, missing_since, (volume * 100)::bigint as volume_e2, observed_at
from prediction_markets
where source = $1 and event_ticker = $2 and status not in ('finalized', 'vanished')
order by market_ticker

-- name: load_lifespans
-- Markets by series, event, name or none of these, whose life may touch a span. By both halves of the markets,
-- since each has indexes of its own.
select market_ticker, series_ticker, open_time, close_time, status, (volume * 100)::bigint as volume_e2, observed_at
from (
    select * from prediction_markets where status not in ('finalized', 'vanished')
    union all
    select * from prediction_markets where status in ('finalized', 'vanished')
) as halves
where
    source = $1
    and ($2::text is null or series_ticker = $2)
    and ($3::text is null or event_ticker = $3)
    and (open_time is null or open_time < $5)
    and (close_time is null or close_time >= $4)
    and ($6::text[] is null or market_ticker = any ($6::text[]))
order by market_ticker

-- name: events_without_series
select distinct event_ticker
from prediction_markets
where source = $1 and series_ticker is null
order by event_ticker

-- name: store_events
-- Of an event named twice the last one counts.
insert into prediction_events (source, event_ticker, series_ticker, title, updated_at)
select distinct on (event_ticker)
    $1,
    event_ticker,
    series_ticker,
    title,
    $5
from unnest($2::text[], $3::text[], $4::text[]) with ordinality as o (event_ticker, series_ticker, title, place)
order by event_ticker, place desc
on conflict (source, event_ticker) do update
set
    series_ticker = excluded.series_ticker,
    title = excluded.title,
    updated_at = excluded.updated_at

-- name: name_series
-- Comes after store_events: the markets of these events that were stored without a series.
with offered as materialized (
    select distinct
        $1::text as source,
        event_ticker
    from unnest($2::text[]) as t (event_ticker)
)
update prediction_markets m
set
    series_ticker = e.series_ticker,
    updated_at = $3
from offered o
join prediction_events e on e.source = o.source and e.event_ticker = o.event_ticker
where m.source = o.source and m.event_ticker = o.event_ticker and m.series_ticker is null

-- name: insert_changes
-- Comes before store_markets, and compares with what is on record until then.
with offered as materialized (
    select
        $1::text as source,
        *
    from unnest($2::text[], $3::text[], $4::timestamptz[])
        as t (market_ticker, status, observed_at)
)
insert into market_status_changes (source, market_ticker, status, previous_status, observed_at)
select
    o.source,
    o.market_ticker,
    o.status,
    m.status,
    o.observed_at
from offered o
left join prediction_markets m on m.source = o.source and m.market_ticker = o.market_ticker
where
    m.status is null
    or (
        m.status <> o.status
        and (m.observed_at <= o.observed_at or m.observed_at > $5::timestamptz + interval '1 hour')
    )

-- name: insert_term_changes
-- Comes before store_markets, as insert_changes does.
with offered as materialized (
    select
        $1::text as source,
        *
    from unnest($2::text[], $3::text[], $4::timestamptz[])
        as t (market_ticker, terms, observed_at)
)
insert into market_changes (source, market_ticker, field, previous_value, value, observed_at)
select
    o.source,
    o.market_ticker,
    f.field,
    m.terms ->> f.field,
    o.terms::json ->> f.field,
    o.observed_at
from offered o
join prediction_markets m on m.source = o.source and m.market_ticker = o.market_ticker
cross join lateral (
    select json_object_keys(m.terms) as field
    union
    select json_object_keys(o.terms::json) as field
) as f
where
    m.terms::text <> o.terms
    and (m.terms ->> f.field) is distinct from (o.terms::json ->> f.field)
    and (m.observed_at <= o.observed_at or m.observed_at > $5::timestamptz + interval '1 hour')

-- name: store_markets
-- An answer older than the one on record stores nothing, unless that one is from a future: a clock
-- that was ahead once must not keep out what is said until then. Nothing else writes meanwhile, so
-- what is joined is what is on record. Products, because a quotient of numerics is rounded.
with offered as materialized (
    select
        $1::text as source,
        *
    from unnest(
        $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[], $9::timestamptz[],
        $10::timestamptz[], $11::timestamptz[], $12::timestamptz[], $13::integer[], $14::bigint[], $15::text[],
        $16::text[], $17::timestamptz[], $18::boolean[], $19::text[], $20::text[]
    ) as t (
        market_ticker, event_ticker, series_ticker, title, status, result, open_time, close_time,
        expected_expiration_time, latest_expiration_time, settlement_time, settlement_value_e4, volume_e2,
        price_level_structure, payload, observed_at, is_over, yes_label, terms
    )
)
insert into prediction_markets (
    source, market_ticker, event_ticker, series_ticker, title, status, result, open_time, close_time,
    expected_expiration_time, latest_expiration_time, settlement_time, settlement_value, volume,
    price_level_structure, payload, observed_at, ended_at, yes_label, terms, first_seen_at, updated_at, checked_at
)
select
    o.source,
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
    o.yes_label,
    o.terms::json,
    $21,
    $21,
    $21
from offered o
left join prediction_markets m on m.source = o.source and m.market_ticker = o.market_ticker
left join prediction_events e on e.source = o.source and e.event_ticker = o.event_ticker
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
    ended_at = excluded.ended_at,
    yes_label = excluded.yes_label,
    terms = excluded.terms
where
    prediction_markets.observed_at <= excluded.observed_at
    or prediction_markets.observed_at > $21::timestamptz + interval '1 hour'

-- name: touch_markets
-- Comes after store_markets: what is still newer than its sighting was found all the same.
with offered as materialized (
    select
        $1::text as source,
        *
    from unnest($2::text[], $3::timestamptz[])
        as t (market_ticker, observed_at)
)
update prediction_markets m
set
    checked_at = $4,
    missing_since = null
from offered o
where m.source = o.source and m.market_ticker = o.market_ticker and m.observed_at > o.observed_at

-- name: insert_vanishings
-- Comes before vanish_markets, which has the same condition. `is true`: by the key, and not through the index of all
-- markets that are not over.
with offered as materialized (
    select distinct
        $1::text as source,
        market_ticker
    from unnest($2::text[]) as t (market_ticker)
)
insert into market_status_changes (source, market_ticker, status, previous_status, observed_at)
select
    m.source,
    m.market_ticker,
    'vanished',
    m.status,
    $3
from offered o
join prediction_markets m on m.source = o.source and m.market_ticker = o.market_ticker
where (m.status not in ('finalized', 'vanished')) is true

-- name: vanish_markets
-- What was paid out is over already, and its status says more.
with offered as materialized (
    select distinct
        $1::text as source,
        market_ticker
    from unnest($2::text[]) as t (market_ticker)
)
update prediction_markets m
set
    status = 'vanished',
    ended_at = $3,
    updated_at = $3
from offered o
where m.source = o.source and m.market_ticker = o.market_ticker and (m.status not in ('finalized', 'vanished')) is true

-- name: note_absences
with offered as materialized (
    select distinct
        $1::text as source,
        market_ticker
    from unnest($2::text[]) as t (market_ticker)
)
update prediction_markets m
set
    missing_since = coalesce(m.missing_since, $3),
    checked_at = $3
from offered o
where m.source = o.source and m.market_ticker = o.market_ticker
