-- How often it was YES, by the price a day before the close: of a well calibrated market as often as the price says.
with priced as materialized (
    select cast(price_1d as double precision) as price, cast(is_yes as integer) as is_yes
    from market_calibration
    where price_1d is not null
),
buckets (low) as (
    values (0), (5), (10), (15), (20), (25), (30), (35), (40), (45), (50), (55), (60), (65), (70), (75), (80), (85),
        (90), (95)
)
select
    b.low as from_cents,
    b.low + 5 as to_cents,
    count(*) as markets,
    avg(p.price) as mean_price,
    100.0 * sum(p.is_yes) / count(*) as percent_yes
from buckets b
join priced p on p.price >= b.low and (p.price < b.low + 5 or b.low = 95)
group by b.low
order by b.low;
