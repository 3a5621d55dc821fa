create view market_calibration as
-- kalshi-ingest: each market that ended with yes or no, and the yes prices by which one could have foretold it.
-- Whole seconds are shifted alone, because strftime rounds the others.
select
    m.market_ticker as ticker,
    cast(m.series_ticker as text) as series,
    cast(m.event_ticker as text) as event,
    cast(m.title as text) as title,
    cast(m.yes_label as text) as yes_label,
    cast(m.close_time as text) as close_time,
    cast(m.result as text) as result,
    cast(case m.result when 'yes' then 1 else 0 end as integer) as is_yes,
    cast(c.trades as bigint) as trades,
    cast(m.volume_e2 / 100.0 as double) as volume,
    cast((
        select case t.side when 'yes' then t.price_e4 else 1000000 - t.price_e4 end / 10000.0
        from prediction_market_trades t
        where
            t.market_ticker = m.market_ticker
            and t.source = m.source
            and t.traded_at < m.close_time
        order by t.traded_at desc, t.trade_id desc
        limit 1
    ) as double) as price_at_close,
    cast((
        select case t.side when 'yes' then t.price_e4 else 1000000 - t.price_e4 end / 10000.0
        from prediction_market_trades t
        where
            t.market_ticker = m.market_ticker
            and t.source = m.source
            and t.traded_at < strftime('%Y-%m-%dT%H:%M:%S', substr(m.close_time, 1, 19), '-1 hours')
                || substr(m.close_time, 20)
        order by t.traded_at desc, t.trade_id desc
        limit 1
    ) as double) as price_1h,
    cast((
        select case t.side when 'yes' then t.price_e4 else 1000000 - t.price_e4 end / 10000.0
        from prediction_market_trades t
        where
            t.market_ticker = m.market_ticker
            and t.source = m.source
            and t.traded_at < strftime('%Y-%m-%dT%H:%M:%S', substr(m.close_time, 1, 19), '-24 hours')
                || substr(m.close_time, 20)
        order by t.traded_at desc, t.trade_id desc
        limit 1
    ) as double) as price_1d,
    cast((
        select case t.side when 'yes' then t.price_e4 else 1000000 - t.price_e4 end / 10000.0
        from prediction_market_trades t
        where
            t.market_ticker = m.market_ticker
            and t.source = m.source
            and t.traded_at < strftime('%Y-%m-%dT%H:%M:%S', substr(m.close_time, 1, 19), '-168 hours')
                || substr(m.close_time, 20)
        order by t.traded_at desc, t.trade_id desc
        limit 1
    ) as double) as price_7d
from prediction_markets m
join trade_counts c on c.source = m.source and c.market_ticker = m.market_ticker
where m.result in ('yes', 'no') and m.close_time is not null and c.trades > 0;
