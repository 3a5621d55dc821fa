-- The raw event of a trade that insert_trades found new.
insert into raw_kalshi_trade_events (run_id, received_at, market_ticker, trade_id, payload)
values (?1, ?2, ?3, ?4, ?5)
