-- The request rate of the account that a key belongs to. Each shard remembers it for its host.
alter table exchange_records
    add column limits_key       text collate "C",    -- a digest of the id of the key that asked
    add column limits_asked_at  timestamptz,         -- our clock at the last question…
    add column limits_told_at   timestamptz,         -- …and at the last one that was answered
    add column usage_tier       text,                -- the name of the account's tier
    add column read_rate        double precision,    -- the rate of the account, in requests a second
    add column limits_expire_at timestamptz;         -- our clock at which the account's first grant expires
