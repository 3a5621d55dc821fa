#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kalshi_ingest::fuzz::run("limits", bytes));
