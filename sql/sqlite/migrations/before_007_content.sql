-- Step 007 keeps each version of a contradicted trade once. Builds before it kept one for each way in which its
-- JSON was written: those after the first are told apart by what they are rejected for, and none is lost.
update raw_kalshi_trade_events
set rejected = rejected || ' (the same was kept before, written in another way; this is event ' || event_id || ')'
where event_id in (
    select event_id
    from (
        select
            event_id,
            row_number() over (partition by market_ticker, trade_id, rejected order by event_id) as number
        from raw_kalshi_trade_events
        where trade_id is not null and rejected like 'conflicts with the stored trade%'
    ) as versions
    where number > 1
)
;
