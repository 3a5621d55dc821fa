-- What may be believed: how far a market was looked at, what a claim rests on, what the passes remember
-- of the exchange, and which claims were found false.

alter table ingestion_checkpoints
    add column checked_until  timestamptz,         -- exchange time up to which silence was heard
    add column anchor_at      timestamptz,         -- the newest trade below which nothing is missing…
    add column anchor_id      text collate "C",    -- …and its id; null: not noted
    add column footing_at     timestamptz,         -- a trade below all that the next walk reads
    add column quiet_until    timestamptz,         -- the last walk showed the anchor, and nothing above it until then
    add column carried_until  timestamptz,         -- two walks of different passes did
    add column quiet_run      bigint,              -- the pass of the last of them
    add column walk_anchor_at timestamptz,         -- the anchor that the interrupted walk will leave
    add column walk_anchor_id text collate "C",
    add column level_at       timestamptz,         -- our clock when it was first read to the end
    add column left_seconds   double precision,    -- what was still to read, at the least so far
    add column left_at        timestamptz;         -- our clock when that last became less

update ingestion_checkpoints
set
    anchor_at = case when walk_until is null then last_trade_at end,
    level_at = case when complete_until is not null then coalesce(last_success_at, updated_at) end;

-- They followed one answer's date.
alter table ingestion_checkpoints
    drop column complete_as_of,
    drop column walk_opened_at;

-- What the passes of a shard remember of the exchange behind a host.
create table exchange_records (
    source          text collate "C" not null,
    shard           text collate "C" not null,
    host            text collate "C" not null,
    told_date       timestamptz,                   -- the last answer's Date…
    told_at         timestamptz,                   -- …and our clock then
    offset_seconds  double precision,              -- the exchange's clock minus ours, when both last moved alike
    newest_at       timestamptz,                   -- the newest trade of the tape
    newest_id       text collate "C",
    moved_share     double precision,              -- in which share of the recent passes it had moved…
    moved_passes    double precision,              -- …and how many of them that was learnt from
    still_passes    bigint not null default 0,     -- passes since it last moved
    cutoff          timestamptz,                   -- where the archive ended…
    cutoff_at       timestamptz,                   -- …when that was asked, by our clock
    status_at       timestamptz,                   -- our clock when the exchange was last asked whether it trades
    is_trading      boolean,
    come_back_at    timestamptz,                   -- our clock before which the exchange wants no request
    probed_at       timestamptz,                   -- our clock when it was asked all the same
    updated_at      timestamptz not null,
    primary key (source, shard, host)
);

-- Append-only.
create table claim_corrections (
    correction_id bigint generated always as identity primary key,
    source        text collate "C" not null,
    market_ticker text collate "C" not null,
    claim         text not null,                   -- which: a column of ingestion_checkpoints, or of selection_watches
    claimed       timestamptz not null,            -- the instant that was claimed
    proven        timestamptz,                     -- the one that is left
    reason        text not null,
    run_id        bigint not null,
    corrected_at  timestamptz not null
);

create index claim_corrections_market
    on claim_corrections (market_ticker, corrected_at);

-- Trades seen again with another market, side, price, quantity or time.
alter table ingestion_runs add column events_conflicting bigint;
