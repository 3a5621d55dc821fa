-- name: add_counts
insert into trade_counts (source, market_ticker, trades, last_trade_at)
values (?1, ?2, ?3, ?4)
on conflict (source, market_ticker) do update
set
    trades = trades + excluded.trades,
    last_trade_at = max(coalesce(last_trade_at, excluded.last_trade_at), excluded.last_trade_at)

-- name: add_hours
insert into trade_hours (source, market_ticker, starts_at)
values (?1, ?2, ?3)
on conflict do nothing

-- name: hold_counts
-- Makes the counts that are missing; nobody else writes during the transaction.
insert into trade_counts (source, market_ticker, trades)
select
    ?1,
    value,
    0
from json_each(?2)
where true
on conflict (source, market_ticker) do nothing

-- name: recount
-- Counts the trades of these markets; answers with the markets whose count was wrong. +source: through the index of
-- the key each row would be a leap.
with counted as materialized (
    select
        ?1 as source,
        value as market_ticker,
        (select count(*) from prediction_market_trades t where t.market_ticker = value and +t.source = ?1) as trades,
        (select max(t.traded_at) from prediction_market_trades t where t.market_ticker = value and +t.source = ?1)
            as last_trade_at
    from json_each(?2)
)
update trade_counts
set
    trades = n.trades,
    last_trade_at = n.last_trade_at
from counted as n
where
    trade_counts.source = n.source
    and trade_counts.market_ticker = n.market_ticker
    and (trade_counts.trades, trade_counts.last_trade_at) is not (n.trades, n.last_trade_at)
returning market_ticker

-- name: recount_hours
-- Notes the hours of these markets that are not noted. Those without a trade do no harm. +source: through the index of
-- the key each row would be a leap.
insert into trade_hours (market_ticker, starts_at, source)
select distinct
    t.market_ticker,
    substr(t.traded_at, 1, 13) || ':00:00.000000Z',
    t.source
from json_each(?2) as m
cross join prediction_market_trades t on t.market_ticker = m.value
where +t.source = ?1
on conflict do nothing

-- name: load_counted
-- The markets with trades, and those that are counted.
select market_ticker
from trade_counts
where source = ?1
union
select distinct market_ticker
from prediction_market_trades
where +source = ?1
order by market_ticker

-- name: load_counts
select market_ticker, trades, last_trade_at
from trade_counts
where source = ?1 and market_ticker in (select value from json_each(?2))

-- name: count_all
select coalesce(sum(trades), 0) as trades
from trade_counts
where source = ?1

-- name: load_busy
-- The markets that have traded since ?2.
select market_ticker
from trade_counts
where source = ?1 and last_trade_at > ?2

-- name: count_since
-- The trades of these markets since ?2.
select t.market_ticker, count(*) as trades
from json_each(?3) as m
cross join prediction_market_trades t on t.market_ticker = m.value and t.traded_at > ?2
where +t.source = ?1
group by t.market_ticker
