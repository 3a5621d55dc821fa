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
