-- Events that contradict a stored trade. Each version is kept once, however its JSON is written.
create unique index raw_kalshi_trade_events_conflicts
    on raw_kalshi_trade_events (market_ticker, trade_id, rejected)
    where rejected like 'conflicts with the stored trade%';

comment on column raw_kalshi_trade_events.payload is
    'The exchange''s JSON, byte for byte. What is no JSON is a JSON string of it, in which \udc80 to \udcff stand for bytes that are no UTF-8.';
