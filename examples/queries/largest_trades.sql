-- The twenty trades of one week for which the taker paid most, without fees.
select ticker, title, yes_label, traded_at, side, yes_price, quantity, notional_usd
from trades
where traded_at >= '2026-11-16T00:00:00.000000Z' and traded_at < '2026-11-23T00:00:00.000000Z'
order by notional_usd desc, trade_id
limit 20;
