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
