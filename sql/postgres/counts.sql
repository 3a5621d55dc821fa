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

-- name: add_hours
-- In the order of the key, so that two writers cannot wait for each other. An hour that is noted already is looked up
-- first, because a conflict costs more.
insert into trade_hours (market_ticker, starts_at, source)
select t.market_ticker, t.starts_at, t.source
from (
    select
        $1::text as source,
        market_ticker,
        starts_at
    from unnest($2::text[], $3::timestamptz[]) as o (market_ticker, starts_at)
) as t
left join trade_hours h
    on h.market_ticker = t.market_ticker and h.starts_at = t.starts_at and h.source = t.source
where h.source is null
order by t.market_ticker collate "C", t.starts_at
on conflict do nothing

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

-- name: recount_hours
-- Notes the hours of these markets that are not noted. Those without a trade do no harm. `is true`: not through the
-- index of the key, which begins with the source.
insert into trade_hours (market_ticker, starts_at, source)
select
    m.market_ticker,
    n.starts_at,
    $1
from unnest($2::text[]) as m (market_ticker)
cross join lateral (
    select distinct date_trunc('hour', t.traded_at at time zone 'UTC') at time zone 'UTC' as starts_at
    from prediction_market_trades t
    where t.market_ticker = m.market_ticker and (t.source = $1) is true
) as n
order by m.market_ticker collate "C", n.starts_at
on conflict do nothing

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
