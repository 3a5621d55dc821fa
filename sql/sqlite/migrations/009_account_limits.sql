-- The request rate of the account that a key belongs to. Each shard remembers it for its host.
alter table exchange_records add column limits_key text;          -- a digest of the id of the key that asked
alter table exchange_records add column limits_asked_at text;     -- our clock at the last question…
alter table exchange_records add column limits_told_at text;      -- …and at the last one that was answered
alter table exchange_records add column usage_tier text;          -- the name of the account's tier
alter table exchange_records add column read_rate real;           -- the rate of the account, in requests a second
alter table exchange_records add column limits_expire_at text;    -- our clock at which the account's first grant expires
