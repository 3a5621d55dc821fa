//! The time of single parts: a page decoded, its events normalized, a pass planned, a batch sealed.
//!
//! `cargo bench --bench parts` compares with the previous run on the same machine. Instructions, which do not depend on
//! the machine, are counted by `instructions`.

#![allow(clippy::unwrap_used, reason = "a panic is how a benchmark fails")]

mod inputs;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput};
use kalshi_ingest::domain::plan::plan;
use kalshi_ingest::kalshi;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    decode(&mut criterion);
    planning(&mut criterion);
    sealing(&mut criterion);
    criterion.final_summary();
}

fn elements(count: usize) -> Throughput {
    Throughput::Elements(u64::try_from(count).unwrap())
}

fn decode(criterion: &mut Criterion) {
    let market = inputs::market(0);
    let (body, payloads) = (inputs::body(&market), inputs::payloads(&market));
    let now = inputs::now();
    let mut group = criterion.benchmark_group("page of 1,000 trades");
    group.throughput(elements(inputs::PAGE_TRADES));
    group.bench_function("decode", |bencher| {
        bencher.iter(|| kalshi::decode_page(black_box(&body), &market, now).unwrap());
    });
    group.bench_function("normalize", |bencher| {
        bencher.iter(|| {
            for payload in &payloads {
                black_box(kalshi::normalize(black_box(payload), &market, now).unwrap());
            }
        });
    });
}

fn planning(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("plan");
    for count in [1_000, 10_000] {
        let checkpoints = inputs::level(count);
        group.throughput(elements(count));
        group.bench_function(format!("{count} markets"), |bencher| {
            bencher.iter_batched(
                || checkpoints.clone(),
                |checkpoints| plan(checkpoints, inputs::outlook()),
                BatchSize::LargeInput,
            );
        });
    }
}

fn sealing(criterion: &mut Criterion) {
    const MARKETS: usize = 10;
    let checkpoints = inputs::unread(&inputs::markets(MARKETS));
    let mut group = criterion.benchmark_group("batch of 10,000 trades");
    group.throughput(elements(MARKETS * inputs::PAGE_TRADES));
    group.sample_size(20);
    group.bench_function("seal", |bencher| {
        bencher.iter_batched(
            || inputs::batch(&checkpoints),
            |(batch, committed)| batch.seal(&committed, 1, inputs::now()),
            BatchSize::PerIteration,
        );
    });
}
