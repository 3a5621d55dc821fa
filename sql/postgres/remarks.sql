-- The remarks that psql (\d+) and other tools show beside the tables. They are written anew with each step.
comment on table prediction_market_trades is
    'One row for each trade, exactly once. The view trades is easier to query.';
comment on column prediction_market_trades.trade_id is 'The id of the exchange; unique together with source.';
comment on column prediction_market_trades.side is 'The outcome that the taker bought: yes or no.';
comment on column prediction_market_trades.price is 'Cents for one contract of side, exact to 0.0001.';
comment on column prediction_market_trades.quantity is 'Contracts, exact to 0.01.';
comment on column prediction_market_trades.traded_at is 'The time of the exchange, in microseconds.';
comment on column prediction_market_trades.is_block_trade is
    'Negotiated off the book; null where the exchange did not say.';
comment on column prediction_market_trades.run_id is 'The run that stored it, of ingestion_runs.';
comment on column prediction_market_trades.ingested_at is 'Our clock when it was stored.';
comment on view prediction_market_trades_yes is 'The trades with a yes_price. The view trades has more.';
comment on table raw_kalshi_trade_events is
    'The JSON of each trade as received, and of each event that could not be read as a trade, with the reason.';
comment on table prediction_markets is
    'The last known state of each market. The view markets is easier to query.';
comment on column prediction_markets.settlement_value is 'Cents that one YES contract paid.';
comment on column prediction_markets.volume is 'Contracts of its whole life, as the exchange says.';
comment on column prediction_markets.payload is 'The JSON of the exchange, byte for byte.';
comment on table prediction_events is 'The events of the exchange whose series was asked for.';
comment on table market_status_changes is 'One row for each change of the status of a market.';
comment on table market_changes is
    'One row for each change of a term of a market: rules, strikes, price grid, times.';
comment on table orderbook_snapshots is
    'Snapshots of order books: prices in cents, depth in contracts. The view orderbooks adds the market.';
comment on table ingestion_checkpoints is
    'What is known to be complete of each market; * is the whole exchange.';
comment on column ingestion_checkpoints.complete_from is
    'All trades from here to complete_until are stored; null: from where the live data began at the first read.';
comment on column ingestion_checkpoints.complete_until is
    'All trades before this instant are stored; null: nothing is claimed yet.';
comment on column ingestion_checkpoints.checked_until is
    'Up to here the market is known to have had nothing newer: freshness, no claim.';
comment on table completeness_scores is 'One row for each market each time it was compared with the exchange.';
comment on table ingestion_windows is 'The slices of backfills, and which of them are complete.';
comment on table ingestion_runs is 'One row for each call of the program, with its work and its end.';
comment on table trade_counts is 'The number of stored trades of each market, and the newest of them.';
comment on table market_candles is
    'The candles of the exchange itself. The views candles_1m and candles_1h are made from the stored trades.';
comment on table trade_hours is 'The hours in which each market traded. For the views candles_1m and candles_1h.';
comment on table claim_corrections is 'Claims that were found false and were lowered, with the reason.';
comment on table selection_watches is 'The entries of the selection. For the program.';
comment on table selection_members is 'The markets of each entry of the selection. For the program.';
comment on table refused_names is 'Names of the selection that the exchange does not know. For the program.';
comment on table exchange_records is 'What the passes remember of the exchange between them. For the program.';
comment on table replay_places is 'How far unfinished replays came. For the program.';
comment on table ingestion_totals is 'Sums over all finished runs, for the metrics. For the program.';
comment on table kalshi_ingest_migrations is 'The applied steps of the schema. For the program.';
