create or replace view market_calibration as
select
    cast(m.market_ticker as text) as ticker,
    cast(m.series_ticker as text) as series,
    cast(m.event_ticker as text) as event,
    cast(m.title as text) as title,
    cast(m.yes_label as text) as yes_label,
    cast(m.close_time as timestamptz) as close_time,
    cast(m.result as text) as result,
    cast(case m.result when 'yes' then 1 else 0 end as integer) as is_yes,
    cast(c.trades as bigint) as trades,
    cast(m.volume as numeric(20, 2)) as volume,
    (
        select cast(case t.side when 'yes' then t.price else 100 - t.price end as numeric(7, 4))
        from prediction_market_trades t
        where
            t.market_ticker = m.market_ticker
            and (t.source = m.source) is true
            and t.traded_at < m.close_time
        order by t.traded_at desc, t.trade_id desc
        limit 1
    ) as price_at_close,
    (
        select cast(case t.side when 'yes' then t.price else 100 - t.price end as numeric(7, 4))
        from prediction_market_trades t
        where
            t.market_ticker = m.market_ticker
            and (t.source = m.source) is true
            and t.traded_at < m.close_time - interval '1 hour'
        order by t.traded_at desc, t.trade_id desc
        limit 1
    ) as price_1h,
    (
        select cast(case t.side when 'yes' then t.price else 100 - t.price end as numeric(7, 4))
        from prediction_market_trades t
        where
            t.market_ticker = m.market_ticker
            and (t.source = m.source) is true
            and t.traded_at < m.close_time - interval '24 hours'
        order by t.traded_at desc, t.trade_id desc
        limit 1
    ) as price_1d,
    (
        select cast(case t.side when 'yes' then t.price else 100 - t.price end as numeric(7, 4))
        from prediction_market_trades t
        where
            t.market_ticker = m.market_ticker
            and (t.source = m.source) is true
            and t.traded_at < m.close_time - interval '168 hours'
        order by t.traded_at desc, t.trade_id desc
        limit 1
    ) as price_7d
from prediction_markets m
join trade_counts c on c.source = m.source and c.market_ticker = m.market_ticker
where m.result in ('yes', 'no') and m.close_time is not null and c.trades > 0;

comment on view market_calibration is
    'kalshi-ingest: each market that ended with yes or no, and the yes prices by which one could have foretold it.';
comment on column market_calibration.is_yes is '1 if it ended with yes, else 0.';
comment on column market_calibration.price_at_close is 'The last yes price before the close, in cents.';
comment on column market_calibration.price_1h is 'The last yes price an hour before the close; null: not traded yet.';
comment on column market_calibration.price_1d is 'The last yes price 24 hours before the close; null: not traded yet.';
comment on column market_calibration.price_7d is 'The last yes price 7 days before the close; null: not traded yet.';
