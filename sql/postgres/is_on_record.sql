-- Whether anything is stored of a name. By both halves of the markets, since each has an index of its own.
select
    case $2
        when 'market' then
            exists (select 1 from prediction_markets m where m.source = $1 and m.market_ticker = $3)
            or exists (select 1 from prediction_market_trades t where t.market_ticker = $3 and t.source = $1)
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
