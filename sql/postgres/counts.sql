-- name: add_counts
-- In the order of the key, so that two writers cannot wait for each other.
insert into trade_counts (source, market_ticker, trades, last_trade_at)
select
    $1,
    market_ticker,
    trades,
    last_trade_at
from unnest($2::text[], $3::bigint[], $4::timestamptz[]) as t (market_ticker, trades, last_trade_at)
order by market_ticker collate "C"
on conflict (source, market_ticker) do update
set
    trades = trade_counts.trades + excluded.trades,
    last_trade_at = greatest(trade_counts.last_trade_at, excluded.last_trade_at)

-- name: hold_counts
-- Locks the counts of these markets, also of those that have none yet: whoever stores trades of them waits, so
-- that the next statement sees all trades that are counted.
insert into trade_counts (source, market_ticker, trades)
select
    $1,
    market_ticker,
    0
from unnest($2::text[]) as t (market_ticker)
group by market_ticker
order by market_ticker collate "C"
on conflict (source, market_ticker) do update set trades = trade_counts.trades

-- name: recount
-- Counts the trades of these markets; answers with the markets whose count was wrong. `is true`: not through the index
-- of the key, which begins with the source.
with counted as materialized (
    select
        $1::text as source,
        m.market_ticker,
        n.trades,
        n.last_trade_at
    from unnest($2::text[]) as m (market_ticker)
    cross join lateral (
        select count(*) as trades, max(t.traded_at) as last_trade_at
        from prediction_market_trades t
        where t.market_ticker = m.market_ticker and (t.source = $1) is true
    ) as n
)
update trade_counts c
set
    trades = n.trades,
    last_trade_at = n.last_trade_at
from counted n
where
    c.source = n.source
    and c.market_ticker = n.market_ticker
    and (c.trades, c.last_trade_at) is distinct from (n.trades, n.last_trade_at)
returning c.market_ticker

-- name: load_counted
-- The markets with trades, and those that are counted.
select market_ticker
from trade_counts
where source = $1
union
select distinct market_ticker
from prediction_market_trades
where source = $1
order by market_ticker

-- name: load_counts
with wanted as materialized (
    select distinct
        $1::text as source,
        market_ticker
    from unnest($2::text[]) as t (market_ticker)
)
select c.market_ticker, c.trades, c.last_trade_at
from wanted w
join trade_counts c on c.source = w.source and c.market_ticker = w.market_ticker

-- name: count_all
select coalesce(sum(trades), 0)::bigint as trades
from trade_counts
where source = $1

-- name: load_busy
-- The markets that have traded since $2.
select market_ticker
from trade_counts
where source = $1 and last_trade_at > $2

-- name: count_since
-- The trades of these markets since $2. `is true`: not through the index of the key, which begins with the source.
select market_ticker, count(*) as trades
from prediction_market_trades
where (source = $1) is true and traded_at > $2 and market_ticker = any ($3::text[])
group by market_ticker
