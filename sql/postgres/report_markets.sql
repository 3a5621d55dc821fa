-- What `status` shows: each checkpoint with the trades stored for its market; the tape's are
-- those of every market.
select
    c.market_ticker, c.complete_from, c.complete_until, c.checked_until, c.anchor_at, c.anchor_id, c.footing_at, c.quiet_until, c.quiet_run, c.carried_until,
    c.last_trade_at, c.last_success_at, c.walk_from, c.walk_until, c.walk_cursor, c.walk_low, c.walk_anchor_at, c.walk_anchor_id,
    c.level_at, c.left_seconds, c.left_at, c.failures, c.last_error, c.retired_at,
    c.first_selected_at, c.version,
    case c.market_ticker
        when '*' then (select count(*) from prediction_market_trades t where t.source = $1)
        else (
            select count(*) from prediction_market_trades t
            where t.market_ticker = c.market_ticker and t.source = c.source
        )
    end as trades_total,
    case c.market_ticker
        when '*' then (select count(*) from prediction_market_trades t where t.source = $1 and t.traded_at > $2)
        else (
            select count(*) from prediction_market_trades t
            where t.market_ticker = c.market_ticker and t.source = c.source and t.traded_at > $2
        )
    end as trades_last_hour
from ingestion_checkpoints c
where c.source = $1
order by c.market_ticker
