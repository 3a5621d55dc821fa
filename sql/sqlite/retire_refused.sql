-- Comes after refuse_name: a market that the exchange never knew is neither read on nor able to breach.
update ingestion_checkpoints
set
    retired_at = ?3,
    updated_at = ?3,
    version = version + 1
where
    source = ?1
    and 'market:' || market_ticker = ?2
    and retired_at is null
    and last_trade_at is null
    and walk_low is null
    and not exists (
        select 1 from prediction_market_trades t
        where t.market_ticker = ingestion_checkpoints.market_ticker and t.source = ?1
    )
