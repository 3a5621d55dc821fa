-- name: save_candles
-- In the order of the key, so that two writers cannot wait for each other. The volume of a period only grows, so an
-- answer with less of it is wrong or old; but trades that were taken back are missing in the final answer.
insert into market_candles as stored (
    source, market_ticker, interval_minutes, ends_at, yes_bid_open, yes_bid_low, yes_bid_high, yes_bid_close,
    yes_ask_open, yes_ask_low, yes_ask_high, yes_ask_close, price_open, price_low, price_high, price_close, price_mean,
    price_previous, volume, open_interest, is_final, fetched_at
)
select
    $1,
    market_ticker,
    $2::bigint,
    ends_at,
    yes_bid_open_e4 * 0.0001,
    yes_bid_low_e4 * 0.0001,
    yes_bid_high_e4 * 0.0001,
    yes_bid_close_e4 * 0.0001,
    yes_ask_open_e4 * 0.0001,
    yes_ask_low_e4 * 0.0001,
    yes_ask_high_e4 * 0.0001,
    yes_ask_close_e4 * 0.0001,
    price_open_e4 * 0.0001,
    price_low_e4 * 0.0001,
    price_high_e4 * 0.0001,
    price_close_e4 * 0.0001,
    price_mean_e4 * 0.0001,
    price_previous_e4 * 0.0001,
    volume_e2 * 0.01,
    open_interest_e2 * 0.01,
    is_final,
    fetched_at
from unnest(
    $3::text[], $4::timestamptz[], $5::integer[], $6::integer[], $7::integer[], $8::integer[], $9::integer[],
    $10::integer[], $11::integer[], $12::integer[], $13::integer[], $14::integer[], $15::integer[], $16::integer[],
    $17::integer[], $18::integer[], $19::bigint[], $20::bigint[],
    $21::boolean[], $22::timestamptz[]
) as t (
    market_ticker, ends_at, yes_bid_open_e4, yes_bid_low_e4, yes_bid_high_e4, yes_bid_close_e4, yes_ask_open_e4,
    yes_ask_low_e4, yes_ask_high_e4, yes_ask_close_e4, price_open_e4, price_low_e4, price_high_e4, price_close_e4,
    price_mean_e4, price_previous_e4, volume_e2, open_interest_e2, is_final, fetched_at
)
order by market_ticker collate "C", ends_at
on conflict (source, market_ticker, interval_minutes, ends_at) do update
set
    yes_bid_open = excluded.yes_bid_open,
    yes_bid_low = excluded.yes_bid_low,
    yes_bid_high = excluded.yes_bid_high,
    yes_bid_close = excluded.yes_bid_close,
    yes_ask_open = excluded.yes_ask_open,
    yes_ask_low = excluded.yes_ask_low,
    yes_ask_high = excluded.yes_ask_high,
    yes_ask_close = excluded.yes_ask_close,
    price_open = excluded.price_open,
    price_low = excluded.price_low,
    price_high = excluded.price_high,
    price_close = excluded.price_close,
    price_mean = excluded.price_mean,
    price_previous = excluded.price_previous,
    volume = excluded.volume,
    open_interest = excluded.open_interest,
    is_final = excluded.is_final,
    fetched_at = excluded.fetched_at
where
    excluded.fetched_at >= stored.fetched_at
    and (
        excluded.volume >= stored.volume
        or (excluded.is_final and not stored.is_final and excluded.volume > 0)
    )

-- name: load_stored_candles
-- The first period of each of these markets, and the last one that changes no more.
select m.market_ticker, f.ends_at as first_end, l.ends_at as last_final_end
from unnest($3::text[]) as m (market_ticker)
cross join lateral (
    select s.ends_at
    from market_candles s
    where s.source = $1 and s.market_ticker = m.market_ticker and s.interval_minutes = $2::bigint
    order by s.ends_at
    limit 1
) as f
left join lateral (
    select s.ends_at
    from market_candles s
    where s.source = $1 and s.market_ticker = m.market_ticker and s.interval_minutes = $2::bigint and s.is_final
    order by s.ends_at desc
    limit 1
) as l on true
