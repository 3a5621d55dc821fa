create or replace view trades as
select
    cast(t.market_ticker as text) as ticker,
    cast(t.side as text) as side,
    cast(case t.side when 'yes' then t.price else 100 - t.price end as numeric(7, 4)) as yes_price,
    cast(case t.side when 'no' then t.price else 100 - t.price end as numeric(7, 4)) as no_price,
    cast(t.quantity as numeric(18, 2)) as quantity,
    -- A product, because a quotient of numerics is rounded.
    cast(t.price * t.quantity * 0.01 as numeric(26, 8)) as notional_usd,
    cast(t.traded_at as timestamptz) as traded_at,
    cast(t.is_block_trade as boolean) as is_block,
    cast(m.series_ticker as text) as series,
    cast(m.event_ticker as text) as event,
    cast(m.title as text) as title,
    cast(m.yes_label as text) as yes_label,
    cast(m.result as text) as result,
    cast(m.settlement_value as numeric(7, 4)) as settlement,
    cast(t.trade_id as text) as trade_id,
    cast(t.traded_at at time zone 'UTC' as date) as day,
    cast(extract(epoch from t.traded_at) * 1000000 as bigint) as traded_us
from prediction_market_trades t
left join prediction_markets m on m.source = t.source and m.market_ticker = t.market_ticker;

comment on view trades is 'kalshi-ingest: every trade, with its market. Prices in cents, money in dollars.';
comment on column trades.side is 'The outcome that the taker bought: yes or no.';
comment on column trades.yes_price is 'Cents for one YES contract, whichever side the taker bought.';
comment on column trades.no_price is 'Cents for one NO contract: 100 less the yes price.';
comment on column trades.quantity is 'Contracts.';
comment on column trades.notional_usd is 'Dollars that the taker paid without fees: price of the side times contracts.';
comment on column trades.is_block is 'Negotiated off the book; null where the exchange did not say.';
comment on column trades.yes_label is 'The label of YES, such as a strike: the markets of an event share their title.';
comment on column trades.result is 'yes, no or scalar; null until the market is determined.';
comment on column trades.settlement is 'Cents that one YES contract paid.';
comment on column trades.day is 'The day in UTC.';
comment on column trades.traded_us is 'The time in microseconds since 1970.';
