-- The implied probability of a market by hour, in percent, beside its result. It is the last price of the hour.
select c.starts_at, c.close as percent, m.result, m.settlement
from candles_1h c
join markets m on m.ticker = c.ticker
where c.ticker = 'KXHIGHNY-26NOV22-B50'
order by c.starts_at;
