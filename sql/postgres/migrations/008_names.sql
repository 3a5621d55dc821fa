-- Instants of markets that are none, such as Go's zero time, are read as absent; so are those on record.
update prediction_markets
set
    open_time = case when open_time >= '2020-01-01Z' and open_time < '2200-01-01Z' then open_time end,
    close_time = case when close_time >= '2020-01-01Z' and close_time < '2200-01-01Z' then close_time end,
    expected_expiration_time = case
        when expected_expiration_time >= '2020-01-01Z' and expected_expiration_time < '2200-01-01Z'
            then expected_expiration_time
    end,
    latest_expiration_time = case
        when latest_expiration_time >= '2020-01-01Z' and latest_expiration_time < '2200-01-01Z'
            then latest_expiration_time
    end,
    settlement_time = case
        when settlement_time >= '2020-01-01Z' and settlement_time < '2200-01-01Z' then settlement_time
    end
where
    open_time < '2020-01-01Z' or open_time >= '2200-01-01Z'
    or close_time < '2020-01-01Z' or close_time >= '2200-01-01Z'
    or expected_expiration_time < '2020-01-01Z' or expected_expiration_time >= '2200-01-01Z'
    or latest_expiration_time < '2020-01-01Z' or latest_expiration_time >= '2200-01-01Z'
    or settlement_time < '2020-01-01Z' or settlement_time >= '2200-01-01Z';

-- Markets with a blank in their ticker were refused, and a mark of a sync could lie in the future: the
-- next sync lists everything once more.
update selection_watches
set synced_until = null
where synced_until is not null;
