-- The last price of each market of an event: the implied probability in percent.
select ticker, yes_label, yes_price, traded_at, status, result
from market_last_trade
where event = 'KXHIGHNY-26NOV22'
order by yes_price desc, ticker;
