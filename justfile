# The everyday commands; `just` lists them.

_list:
    @just --list --unsorted

# See it work: no database server, no key, no network to the exchange
quickstart:
    cargo run --example quickstart

# All tests, or those whose name contains one of the words
test *words:
    tests/run {{ words }}

# What users copy, under the tools that it is for
tools *parts:
    tests/tools/run {{ parts }}

# Formatting and lints
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --features parquet --locked -- -D warnings

# A minute of simulated histories
simulate:
    simulate/ci

# A quick look at the speed beside the databases' own bulk loaders; `cargo bench` measures longer
bench *flags="--trades 20000 --pairs 1":
    cargo bench --bench pipeline -- {{ flags }}

# Counts instructions, and compares them with the record
instructions *flags:
    benches/count-instructions {{ flags }}

# The documents as a book, in target/book/html
book:
    docs/book

# The picture of the page in the README
picture:
    cargo build --workspace --bins
    tests/tools/screenshot.py

# Everything that has to pass before a change is merged
ci:
    .ci/run
