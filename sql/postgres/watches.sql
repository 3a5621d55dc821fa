-- name: select_watches
-- Entries selected for the first time. In the order of the key, so that two writers cannot wait
-- for each other.
insert into selection_watches (source, watch, first_selected_at)
select
    $1,
    watch,
    $3
from unnest($2::text[]) as t (watch)
order by watch collate "C"
on conflict (source, watch) do nothing

-- name: update_watches
-- What was not learnt stays as it is.
with offered as materialized (
    select
        $1::text as source,
        *
    from unnest(
        $2::text[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[], $7::timestamptz[]
    ) as t (watch, resolved_at, synced_at, synced_until, known_at, empty_at)
)
update selection_watches w
set
    resolved_at = coalesce(o.resolved_at, w.resolved_at),
    synced_at = coalesce(o.synced_at, w.synced_at),
    synced_until = coalesce(o.synced_until, w.synced_until),
    known_at = coalesce(o.known_at, w.known_at),
    empty_at = coalesce(o.empty_at, w.empty_at)
from offered o
where w.source = o.source and w.watch = o.watch

-- name: insert_members
-- Comes after update_watches: a market joins when the exchange says so.
with offered as materialized (
    select
        $1::text as source,
        *
    from unnest($2::text[], $3::text[]) as t (watch, market_ticker)
)
insert into selection_members (source, watch, market_ticker, joined_at)
select
    w.source,
    w.watch,
    o.market_ticker,
    coalesce(w.resolved_at, w.synced_at, w.first_selected_at)
from offered o
join selection_watches w on w.source = o.source and w.watch = o.watch
on conflict (source, watch, market_ticker) do nothing

-- name: delete_members
with offered as materialized (
    select
        $1::text as source,
        *
    from unnest($2::text[], $3::text[]) as t (watch, market_ticker)
)
delete from selection_members m
using offered o
where m.source = o.source and m.watch = o.watch and m.market_ticker = o.market_ticker

-- name: lower_mark
-- Compare and set: somebody else may have synced meanwhile.
update selection_watches
set synced_until = null
where source = $1 and watch = $2 and synced_until = $3

-- name: note_lowered_mark
insert into claim_corrections (source, market_ticker, claim, claimed, proven, reason, run_id, corrected_at)
values ($1, $2, 'synced_until', $3, null, $4, $5, $6)

-- name: load_refused
with wanted as materialized (
    select distinct
        $1::text as source,
        name
    from unnest($2::text[]) as t (name)
)
select r.name, r.first_refused_at, r.checked_at
from wanted w
join refused_names r on r.source = w.source and r.name = w.name

-- name: refuse_name
-- In the order of the key, so that two writers cannot wait for each other.
insert into refused_names (source, name, first_refused_at, checked_at)
select
    $1,
    name,
    $3,
    $3
from unnest($2::text[]) as t (name)
order by name collate "C"
on conflict (source, name) do update
set
    checked_at = excluded.checked_at

-- name: forget_watch
-- Comes after refuse_name: what the exchange never knew is no entry to be watched over, of whatever shard. The
-- bounds and `offset 0` find each name by the key; ! follows the blank.
with offered as materialized (
    select distinct
        $1::text as source,
        name
    from unnest($2::text[]) as t (name)
),
found as materialized (
    select
        f.source,
        f.watch
    from offered o
    cross join lateral (
        select
            w.source,
            w.watch
        from selection_watches w
        where
            w.source = o.source
            and w.watch >= o.name
            and w.watch < o.name || '!'
            and starts_with(w.watch || ' ', o.name || ' ')
        offset 0
    ) as f
)
delete from selection_watches w
using found f
where w.source = f.source and w.watch = f.watch and w.known_at is null

-- name: retire_refused
-- Comes after refuse_name: a market that the exchange never knew is neither read on nor able to breach. `offset 0`
-- finds each market by the key. `is true`: not through the index of the key, which begins with the source.
with offered as materialized (
    select distinct
        $1::text as source,
        substr(name, 8) as market_ticker
    from unnest($2::text[]) as t (name)
    where starts_with(name, 'market:')
),
found as materialized (
    select
        f.source,
        f.market_ticker,
        f.version
    from offered o
    cross join lateral (
        select
            c.source,
            c.market_ticker,
            c.version
        from ingestion_checkpoints c
        where
            c.source = o.source
            and c.market_ticker = o.market_ticker
            and c.retired_at is null
            and c.last_trade_at is null
            and c.walk_low is null
        offset 0
    ) as f
    where not exists (
        select 1 from prediction_market_trades t
        where t.market_ticker = f.market_ticker and (t.source = $1) is true
    )
)
update ingestion_checkpoints c
set
    retired_at = $3,
    updated_at = $3,
    version = c.version + 1
from found f
where c.source = f.source and c.market_ticker = f.market_ticker and c.version = f.version

-- name: lift_refusal
with wanted as materialized (
    select distinct
        $1::text as source,
        name
    from unnest($2::text[]) as t (name)
)
delete from refused_names r
using wanted w
where r.source = w.source and r.name = w.name

-- name: is_on_record
-- Whether anything is stored of a name. By both halves of the markets, since each has an index of its own.
select
    case $2
        when 'market' then
            exists (select 1 from prediction_markets m where m.source = $1 and m.market_ticker = $3)
            or exists (select 1 from prediction_market_trades t where t.market_ticker = $3 and (t.source = $1) is true)
            or exists (
                select 1 from ingestion_checkpoints c
                where c.source = $1 and c.market_ticker = $3 and c.last_trade_at is not null
            )
        when 'event' then
            exists (select 1 from prediction_events e where e.source = $1 and e.event_ticker = $3)
            or exists (
                select 1 from prediction_markets m
                where m.source = $1 and m.event_ticker = $3 and m.status in ('finalized', 'vanished')
            )
            or exists (
                select 1 from prediction_markets m
                where m.source = $1 and m.event_ticker = $3 and m.status not in ('finalized', 'vanished')
            )
        else
            exists (
                select 1 from prediction_markets m
                where m.source = $1 and m.series_ticker = $3 and m.status in ('finalized', 'vanished')
            )
            or exists (
                select 1 from prediction_markets m
                where m.source = $1 and m.series_ticker = $3 and m.status not in ('finalized', 'vanished')
            )
    end as is_on_record

-- name: note_selection
-- What a pass was asked for. Said again only when it changed or is some minutes old: a row that is
-- written every minute for each of a thousand markets is work for nobody's good.
insert into selection_watches (source, watch, first_selected_at, sla_seconds, selected_at)
select
    $1,
    watch,
    $4,
    sla_seconds,
    $4
from unnest($2::text[], $3::double precision[]) as t (watch, sla_seconds)
order by watch collate "C"
on conflict (source, watch) do update
set
    sla_seconds = excluded.sla_seconds,
    selected_at = excluded.selected_at
where
    selection_watches.sla_seconds is distinct from excluded.sla_seconds
    or selection_watches.selected_at is null
    or selection_watches.selected_at < $5
    or selection_watches.selected_at > $4    -- by a clock that was ahead

-- name: load_watches
with asked as materialized (
    select distinct
        $1::text as source,
        watch
    from unnest($2::text[]) as t (watch)
)
select
    w.watch, w.first_selected_at, w.resolved_at, w.synced_at, w.synced_until, w.known_at, w.empty_at,
    array(
        select m.market_ticker
        from selection_members m
        where m.source = w.source and m.watch = w.watch
        order by m.market_ticker
    ) as members
from asked a
join selection_watches w on w.source = a.source and w.watch = a.watch
