-- The longest times without a trade of one market. `completeness` tells whether trades are missing there.
select silent_from, silent_until, seconds
from (
    select
        lag(traded_at) over by_time as silent_from,
        traded_at as silent_until,
        (traded_us - lag(traded_us) over by_time) / 1000000.0 as seconds
    from trades
    where ticker = 'KXHIGHNY-26NOV22-B50'
    window by_time as (order by traded_us, trade_id)
) as silences
where seconds >= 3600
order by seconds desc, silent_from
limit 20;
