-- What the views for analysts read.

-- The label of YES, such as '50° to 51°': the markets of an event share their title.
alter table prediction_markets add column yes_label text;

-- A description that PostgreSQL cannot unescape keeps none until the exchange shows the market again, nor does it here.
update prediction_markets
set
    yes_label = case
        when payload like '%\u0000%' or payload like '%\ud8%' or payload like '%\ud9%' or payload like '%\uda%'
            or payload like '%\udb%' or payload like '%\udc%' or payload like '%\udd%' or payload like '%\ude%'
            or payload like '%\udf%' or not json_valid(payload) then null
        when json_type(payload, '$.yes_sub_title') = 'text' then nullif(json_extract(payload, '$.yes_sub_title'), '')
    end;

-- The key begins with the source, which nobody names who asks for a market.
create index orderbook_snapshots_market_time
    on orderbook_snapshots (market_ticker, captured_at);
