-- The latest hundred trades that were negotiated off the book.
select ticker, title, yes_label, traded_at, side, yes_price, quantity, notional_usd
from trades
where is_block
order by traded_at desc, trade_id
limit 100;
