-- name: stored_lifetime
-- `is true`: not through the index of the key, which begins with the source.
select market_ticker, (sum(quantity) * 100)::bigint as quantity_e2
from prediction_market_trades
where
    (source = $1) is true
    and market_ticker = any ($2::text[])
    and ($3::timestamptz is null or traded_at <= $3)
group by market_ticker
order by market_ticker

-- name: stored_by_hour
-- A trade exactly on the hour belongs to the hour that ends there.
select
    market_ticker,
    date_trunc('hour', traded_at - interval '1 microsecond', 'UTC') + interval '1 hour' as ends_at,
    (sum(quantity) * 100)::bigint as quantity_e2
from prediction_market_trades
where (source = $1) is true and market_ticker = any ($2::text[]) and traded_at > $3 and traded_at <= $4
group by market_ticker, ends_at
order by market_ticker, ends_at

-- name: insert_scores
-- Products, because a quotient of numerics is rounded.
insert into completeness_scores (
    source, market_ticker, window_from, window_until, stored_quantity, exchange_quantity, score, basis, scored_at
)
select
    $1,
    market_ticker,
    window_from,
    window_until,
    stored_e2 * 0.01,
    exchange_e2 * 0.01,
    score,
    basis,
    $9
from unnest(
    $2::text[], $3::timestamptz[], $4::timestamptz[], $5::bigint[], $6::bigint[], $7::double precision[], $8::text[]
) as t (market_ticker, window_from, window_until, stored_e2, exchange_e2, score, basis)

-- name: mark_scores
-- The latest score of each of these markets.
with offered as materialized (
    select
        $1::text as source,
        *
    from unnest($2::text[], $3::double precision[]) as t (market_ticker, score)
)
update prediction_markets m
set
    score = o.score,
    scored_at = $4
from offered o
where m.source = o.source and m.market_ticker = o.market_ticker
