-- What the views for analysts read.

-- The label of YES, such as '50° to 51°': the markets of an event share their title.
alter table prediction_markets add column yes_label text;

-- A description that cannot be unescaped keeps none until the exchange shows the market again.
update prediction_markets
set
    yes_label = case
        when payload::text !~ '\\u(0000|[dD][89a-fA-F])' and json_typeof(payload) = 'object' then
            case json_typeof(payload -> 'yes_sub_title') when 'string' then nullif(payload ->> 'yes_sub_title', '') end
    end;

-- The key begins with the source, which nobody names who asks for a market.
create index orderbook_snapshots_market_time
    on orderbook_snapshots (market_ticker, captured_at);
