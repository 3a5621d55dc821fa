-- Compare and set: a row that another pass changed, or that would move back although its claim
-- was not found false, stays as it is and is missing from the answer. Rows are locked in the
-- order of their key, so that two writers cannot wait for each other.
with offered as (
    select *
    from unnest(
        $2::text[], $3::bigint[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[], $7::timestamptz[],
        $8::timestamptz[], $9::timestamptz[], $10::text[], $11::timestamptz[], $12::integer[], $13::text[],
        $14::timestamptz[], $15::timestamptz[], $16::timestamptz[], $17::text[], $18::timestamptz[], $19::bigint[],
        $20::timestamptz[], $21::timestamptz[], $22::text[], $23::timestamptz[], $24::double precision[],
        $25::boolean[], $26::timestamptz[], $27::timestamptz[]
    ) as t (
        market_ticker, expected_version, complete_from, complete_until, last_trade_at, last_success_at,
        walk_from, walk_until, walk_cursor, walk_low, failures, last_error,
        retired_at, checked_until, anchor_at, anchor_id, quiet_until, quiet_run,
        carried_until, walk_anchor_at, walk_anchor_id, level_at, left_seconds,
        is_lowered, left_at, footing_at
    )
),
held as (
    select c.market_ticker
    from ingestion_checkpoints c
    where c.source = $1 and c.market_ticker = any ($2::text[])
    order by c.market_ticker
    for update
)
update ingestion_checkpoints c
set
    complete_from = o.complete_from,
    complete_until = o.complete_until,
    last_trade_at = greatest(c.last_trade_at, o.last_trade_at),
    last_success_at = o.last_success_at,
    walk_from = o.walk_from,
    walk_until = o.walk_until,
    walk_cursor = o.walk_cursor,
    walk_low = o.walk_low,
    failures = o.failures,
    last_error = o.last_error,
    retired_at = o.retired_at,
    checked_until = o.checked_until,
    anchor_at = o.anchor_at,
    anchor_id = o.anchor_id,
    quiet_until = o.quiet_until,
    quiet_run = o.quiet_run,
    carried_until = o.carried_until,
    walk_anchor_at = o.walk_anchor_at,
    walk_anchor_id = o.walk_anchor_id,
    level_at = o.level_at,
    left_seconds = o.left_seconds,
    left_at = o.left_at,
    footing_at = o.footing_at,
    updated_at = $28,
    version = c.version + 1
from offered o
join held h on h.market_ticker = o.market_ticker
where
    c.source = $1
    and c.market_ticker = o.market_ticker
    and c.version = o.expected_version
    and (c.complete_until is null or c.complete_until <= o.complete_until or o.is_lowered)
returning c.market_ticker
