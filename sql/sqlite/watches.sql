-- name: select_watches
-- Entries selected for the first time.
insert into selection_watches (source, watch, first_selected_at)
select
    ?1,
    value,
    ?3
from json_each(?2)
where true
on conflict (source, watch) do nothing

-- name: update_watches
-- What was not learnt stays as it is.
update selection_watches
set
    resolved_at = coalesce(?3, resolved_at),
    synced_at = coalesce(?4, synced_at),
    synced_until = coalesce(?5, synced_until),
    known_at = coalesce(?6, known_at),
    empty_at = coalesce(?7, empty_at)
where source = ?1 and watch = ?2

-- name: insert_members
-- Comes after update_watches: a market joins when the exchange says so.
insert into selection_members (source, watch, market_ticker, joined_at)
select
    source,
    watch,
    ?3,
    coalesce(resolved_at, synced_at, first_selected_at)
from selection_watches
where source = ?1 and watch = ?2
on conflict (source, watch, market_ticker) do nothing

-- name: delete_members
delete from selection_members
where source = ?1 and watch = ?2 and market_ticker = ?3

-- name: lower_mark
-- Compare and set: somebody else may have synced meanwhile.
update selection_watches
set synced_until = null
where source = ?1 and watch = ?2 and synced_until = ?3

-- name: note_lowered_mark
insert into claim_corrections (source, market_ticker, claim, claimed, proven, reason, run_id, corrected_at)
values (?1, ?2, 'synced_until', ?3, null, ?4, ?5, ?6)

-- name: load_refused
-- ?2 is a JSON list of names: SQLite has no arrays.
select name, first_refused_at, checked_at
from refused_names
where source = ?1 and name in (select value from json_each(?2))

-- name: refuse_name
insert into refused_names (source, name, first_refused_at, checked_at)
values (?1, ?2, ?3, ?3)
on conflict (source, name) do update
set
    checked_at = excluded.checked_at

-- name: forget_watch
-- Comes after refuse_name: what the exchange never knew is no entry to be watched over, of whatever shard.
delete from selection_watches
where
    source = ?1
    and watch >= ?2
    and watch < ?2 || '!'    -- which follows the blank: by the key
    and instr(watch || ' ', ?2 || ' ') = 1
    and known_at is null

-- name: retire_refused
-- Comes after refuse_name: a market that the exchange never knew is neither read on nor able to breach.
update ingestion_checkpoints
set
    retired_at = ?3,
    updated_at = ?3,
    version = version + 1
where
    source = ?1
    and market_ticker = iif(substr(?2, 1, 7) = 'market:', substr(?2, 8), null)
    and retired_at is null
    and last_trade_at is null
    and walk_low is null
    and not exists (
        select 1 from prediction_market_trades t
        where t.market_ticker = ingestion_checkpoints.market_ticker and t.source = ?1
    )

-- name: lift_refusal
delete from refused_names
where source = ?1 and name = ?2

-- name: is_on_record
-- Whether anything is stored of a name. By both halves of the markets, since each has an index of its own.
select
    case ?2
        when 'market' then
            exists (select 1 from prediction_markets m where m.source = ?1 and m.market_ticker = ?3)
            or exists (select 1 from prediction_market_trades t where t.market_ticker = ?3 and t.source = ?1)
            or exists (
                select 1 from ingestion_checkpoints c
                where c.source = ?1 and c.market_ticker = ?3 and c.last_trade_at is not null
            )
        when 'event' then
            exists (select 1 from prediction_events e where e.source = ?1 and e.event_ticker = ?3)
            or exists (
                select 1 from prediction_markets m
                where m.source = ?1 and m.event_ticker = ?3 and m.status in ('finalized', 'vanished')
            )
            or exists (
                select 1 from prediction_markets m
                where m.source = ?1 and m.event_ticker = ?3 and m.status not in ('finalized', 'vanished')
            )
        else
            exists (
                select 1 from prediction_markets m
                where m.source = ?1 and m.series_ticker = ?3 and m.status in ('finalized', 'vanished')
            )
            or exists (
                select 1 from prediction_markets m
                where m.source = ?1 and m.series_ticker = ?3 and m.status not in ('finalized', 'vanished')
            )
    end as is_on_record

-- name: note_selection
-- What a pass was asked for. Said again only when it changed or is some minutes old: a row that is
-- written every minute for each of a thousand markets is work for nobody's good.
insert into selection_watches (source, watch, first_selected_at, sla_seconds, selected_at)
values (?1, ?2, ?4, ?3, ?4)
on conflict (source, watch) do update
set
    sla_seconds = excluded.sla_seconds,
    selected_at = excluded.selected_at
where
    sla_seconds is not excluded.sla_seconds
    or selected_at is null
    or selected_at < ?5
    or selected_at > ?4    -- by a clock that was ahead

-- name: load_watches
-- ?2 is a JSON list of names, the members are one of tickers: SQLite has no arrays.
select
    w.watch, w.first_selected_at, w.resolved_at, w.synced_at, w.synced_until, w.known_at, w.empty_at,
    (
        select json_group_array(m.market_ticker order by m.market_ticker)
        from selection_members m
        where m.source = w.source and m.watch = w.watch
    ) as members
from selection_watches w
where w.source = ?1 and w.watch in (select value from json_each(?2))
