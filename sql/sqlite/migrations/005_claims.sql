-- What may be believed: how far a market was looked at, what a claim rests on, what the passes remember
-- of the exchange, and which claims were found false.

alter table ingestion_checkpoints add column checked_until text;     -- exchange time up to which silence was heard
alter table ingestion_checkpoints add column anchor_at text;         -- the newest trade below which nothing is missing…
alter table ingestion_checkpoints add column anchor_id text;         -- …and its id; null: not noted
alter table ingestion_checkpoints add column footing_at text;        -- a trade below all that the next walk reads
alter table ingestion_checkpoints add column quiet_until text;       -- the last walk showed the anchor, and nothing above it until then
alter table ingestion_checkpoints add column carried_until text;     -- two walks of different passes did
alter table ingestion_checkpoints add column quiet_run integer;      -- the pass of the last of them
alter table ingestion_checkpoints add column walk_anchor_at text;    -- the anchor that the interrupted walk will leave
alter table ingestion_checkpoints add column walk_anchor_id text;
alter table ingestion_checkpoints add column level_at text;          -- our clock when it was first read to the end
alter table ingestion_checkpoints add column left_seconds real;      -- what was still to read, at the least so far
alter table ingestion_checkpoints add column left_at text;           -- our clock when that last became less

update ingestion_checkpoints
set
    anchor_at = case when walk_until is null then last_trade_at end,
    level_at = case when complete_until is not null then coalesce(last_success_at, updated_at) end;

-- They followed one answer's date.
alter table ingestion_checkpoints drop column complete_as_of;
alter table ingestion_checkpoints drop column walk_opened_at;

-- What the passes of a shard remember of the exchange behind a host.
create table exchange_records (
    source          text not null,
    shard           text not null,
    host            text not null,
    told_date       text,                          -- the last answer's Date…
    told_at         text,                          -- …and our clock then
    offset_seconds  real,                          -- the exchange's clock minus ours, when both last moved alike
    newest_at       text,                          -- the newest trade of the tape
    newest_id       text,
    moved_share     real,                          -- in which share of the recent passes it had moved…
    moved_passes    real,                          -- …and how many of them that was learnt from
    still_passes    integer not null default 0,    -- passes since it last moved
    cutoff          text,                          -- where the archive ended…
    cutoff_at       text,                          -- …when that was asked, by our clock
    status_at       text,                          -- our clock when the exchange was last asked whether it trades
    is_trading      integer,
    come_back_at    text,                          -- our clock before which the exchange wants no request
    probed_at       text,                          -- our clock when it was asked all the same
    updated_at      text not null,
    primary key (source, shard, host)
) strict, without rowid;

-- Append-only.
create table claim_corrections (
    correction_id integer primary key,
    source        text not null,
    market_ticker text not null,
    claim         text not null,                   -- which: a column of ingestion_checkpoints, or of selection_watches
    claimed       text not null,                   -- the instant that was claimed
    proven        text,                            -- the one that is left
    reason        text not null,
    run_id        integer not null,
    corrected_at  text not null
) strict;

create index claim_corrections_market
    on claim_corrections (market_ticker, corrected_at);

-- Trades seen again with another market, side, price, quantity or time.
alter table ingestion_runs add column events_conflicting integer;
