-- An event that is no trade, or that contradicts one: kept once with its reason.
insert into raw_kalshi_trade_events (run_id, received_at, market_ticker, trade_id, payload, rejected)
values (?1, ?2, ?3, ?4, ?5, ?6)
on conflict do nothing
