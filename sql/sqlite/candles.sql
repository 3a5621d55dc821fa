-- name: save_candles
-- The volume of a period only grows, so an answer with less of it is wrong or old; but trades that were taken back are
-- missing in the final answer.
insert into market_candles as stored (
    source, market_ticker, interval_minutes, ends_at, yes_bid_open_e4, yes_bid_low_e4, yes_bid_high_e4,
    yes_bid_close_e4, yes_ask_open_e4, yes_ask_low_e4, yes_ask_high_e4, yes_ask_close_e4, price_open_e4, price_low_e4,
    price_high_e4, price_close_e4, price_mean_e4, price_previous_e4, volume_e2, open_interest_e2, is_final,
    fetched_at
)
values (
    ?1, ?3, ?2, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22
)
on conflict (source, market_ticker, interval_minutes, ends_at) do update
set
    yes_bid_open_e4 = excluded.yes_bid_open_e4,
    yes_bid_low_e4 = excluded.yes_bid_low_e4,
    yes_bid_high_e4 = excluded.yes_bid_high_e4,
    yes_bid_close_e4 = excluded.yes_bid_close_e4,
    yes_ask_open_e4 = excluded.yes_ask_open_e4,
    yes_ask_low_e4 = excluded.yes_ask_low_e4,
    yes_ask_high_e4 = excluded.yes_ask_high_e4,
    yes_ask_close_e4 = excluded.yes_ask_close_e4,
    price_open_e4 = excluded.price_open_e4,
    price_low_e4 = excluded.price_low_e4,
    price_high_e4 = excluded.price_high_e4,
    price_close_e4 = excluded.price_close_e4,
    price_mean_e4 = excluded.price_mean_e4,
    price_previous_e4 = excluded.price_previous_e4,
    volume_e2 = excluded.volume_e2,
    open_interest_e2 = excluded.open_interest_e2,
    is_final = excluded.is_final,
    fetched_at = excluded.fetched_at
where
    excluded.fetched_at >= stored.fetched_at
    and (
        excluded.volume_e2 >= stored.volume_e2
        or (excluded.is_final and not stored.is_final and excluded.volume_e2 > 0)
    )

-- name: load_stored_candles
-- The first period of each of these markets, and the last one that changes no more. ?3 is a JSON list of tickers: SQLite
-- has no arrays.
select market_ticker, first_end, last_final_end
from (
    select
        m.value as market_ticker,
        (
            select s.ends_at
            from market_candles s
            where s.source = ?1 and s.market_ticker = m.value and s.interval_minutes = ?2
            order by s.ends_at
            limit 1
        ) as first_end,
        (
            select s.ends_at
            from market_candles s
            where s.source = ?1 and s.market_ticker = m.value and s.interval_minutes = ?2 and s.is_final
            order by s.ends_at desc
            limit 1
        ) as last_final_end
    from json_each(?3) m
)
where first_end is not null
