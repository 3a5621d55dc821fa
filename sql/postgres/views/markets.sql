create or replace view markets as
select
    cast(m.market_ticker as text) as ticker,
    cast(m.event_ticker as text) as event,
    cast(m.series_ticker as text) as series,
    cast(m.title as text) as title,
    cast(m.yes_label as text) as yes_label,
    cast(m.status as text) as status,
    cast(m.result as text) as result,
    cast(m.settlement_value as numeric(7, 4)) as settlement,
    cast(m.open_time as timestamptz) as open_time,
    cast(m.close_time as timestamptz) as close_time,
    cast(m.settlement_time as timestamptz) as settlement_time,
    cast(m.volume as numeric(20, 2)) as volume,
    cast(coalesce(c.trades, 0) as bigint) as trades,
    cast(c.last_trade_at as timestamptz) as last_trade_at,
    cast(m.score as double precision) as score
from prediction_markets m
left join trade_counts c on c.source = m.source and c.market_ticker = m.market_ticker;

comment on view markets is
    'kalshi-ingest: the last known state of each market, with the number of its stored trades.';
comment on column markets.yes_label is 'The label of YES, such as a strike: the markets of an event share their title.';
comment on column markets.status is 'The word of the exchange; vanished: the exchange knows the market no more.';
comment on column markets.settlement is 'Cents that one YES contract paid.';
comment on column markets.volume is 'Contracts of its whole life, as the exchange says.';
comment on column markets.trades is 'Stored trades.';
comment on column markets.score is 'The last completeness score, at most 1; null: never scored.';
