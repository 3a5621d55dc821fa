-- The latest score of the worst market of each watch and of each market that is not retired, if they were
-- scored since ?2; the lowest first.
with wanted as (
    select (
        select m.market_ticker
        from prediction_markets m
        where m.source = w.source and m.series_ticker = substr(w.watch, 8) and m.score is not null and m.scored_at >= ?2
        order by m.score, m.market_ticker
        limit 1
    ) as market_ticker
    from selection_watches w
    where w.source = ?1 and w.selected_at is not null and w.watch glob 'series:*'
    union
    select (
        select m.market_ticker
        from prediction_markets m
        where m.source = w.source and m.event_ticker = substr(w.watch, 7) and m.score is not null and m.scored_at >= ?2
        order by m.score, m.market_ticker
        limit 1
    ) as market_ticker
    from selection_watches w
    where w.source = ?1 and w.selected_at is not null and w.watch glob 'event:*'
    union
    select (
        select m.market_ticker
        from prediction_markets m
        where m.source = w.source and m.score is not null and m.scored_at >= ?2
        order by m.score, m.market_ticker
        limit 1
    ) as market_ticker
    from selection_watches w
    where w.source = ?1 and w.selected_at is not null and w.watch = 'all'
    union
    select substr(w.watch, 8)
    from selection_watches w
    where w.source = ?1 and w.selected_at is not null and w.watch glob 'market:*'
    union
    select c.market_ticker
    from ingestion_checkpoints c
    where c.source = ?1 and c.retired_at is null
)
select m.market_ticker, m.event_ticker, m.series_ticker, m.score, m.scored_at
from wanted
join prediction_markets m on m.source = ?1 and m.market_ticker = wanted.market_ticker
where m.score is not null and m.scored_at >= ?2
order by m.score, m.market_ticker
