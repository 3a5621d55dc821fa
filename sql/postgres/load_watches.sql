select
    w.watch, w.first_selected_at, w.resolved_at, w.synced_at, w.synced_until, w.known_at, w.empty_at,
    array(
        select m.market_ticker
        from selection_members m
        where m.source = w.source and m.watch = w.watch
        order by m.market_ticker
    ) as members
from selection_watches w
where w.source = $1 and w.watch = any ($2::text[])
