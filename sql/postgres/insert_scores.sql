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
