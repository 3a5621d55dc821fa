-- As insert_trades, but into "{target}".
insert into "{target}" (
    source, trade_id, market_ticker, side, price_e4, quantity_e2, traded_at, is_block_trade, run_id, ingested_at
)
values (?1, ?2, ?3, case when ?4 then 'yes' else 'no' end, ?5, ?6, ?7, ?8, ?9, ?10)
on conflict (source, trade_id) do nothing
