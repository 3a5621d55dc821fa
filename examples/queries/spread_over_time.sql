-- The best bid and ask of one market over time, and the price of buying 100 contracts at once above the mid, in cents.
select captured_at, best_yes_bid, best_yes_ask, spread, yes_depth, no_depth, slippage_buy_100
from orderbooks
where ticker = 'KXHIGHNY-26NOV22-B50'
order by captured_at;
