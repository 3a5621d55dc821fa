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
