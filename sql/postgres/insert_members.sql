-- Comes after update_watches: a market joins when the exchange says so.
insert into selection_members (source, watch, market_ticker, joined_at)
select
    w.source,
    w.watch,
    o.market_ticker,
    coalesce(w.resolved_at, w.synced_at, w.first_selected_at)
from unnest($2::text[], $3::text[]) as o (watch, market_ticker)
join selection_watches w on w.source = $1 and w.watch = o.watch
on conflict (source, watch, market_ticker) do nothing
