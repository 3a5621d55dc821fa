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
