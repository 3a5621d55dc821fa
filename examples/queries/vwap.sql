-- The volume-weighted yes price of one market by hour, in cents.
select starts_at, vwap, volume, trades
from candles_1h
where ticker = 'KXHIGHNY-26NOV22-B50'
order by starts_at;
