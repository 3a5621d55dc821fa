select
    w.watch, w.sla_seconds, w.selected_at, coalesce(w.resolved_at, w.first_selected_at) as resolved_at,
    array(
        select m.market_ticker
        from selection_members m
        where m.source = w.source and m.watch = w.watch
        order by m.market_ticker
    ) as members
from selection_watches w
where w.source = $1 and w.selected_at is not null
order by w.watch
