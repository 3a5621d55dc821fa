# syntax=docker/dockerfile:1
#
# docker build --build-arg KALSHI_INGEST_COMMIT="$(git rev-parse --short=12 HEAD)" -t kalshi-ingest:0.1.0 .
# docker run --rm -v kalshi:/data kalshi-ingest:0.1.0 run --series KXBTCD
#
# Both images are Debian 12, so that the program meets the C library it was linked with. Their tags can move: to have
# the same bytes for ever, replace them by the digests that `docker buildx imagetools inspect` shows.
FROM rust:1.95.0-slim-bookworm AS build
WORKDIR /build
COPY Cargo.toml Cargo.lock build.rs ./
# The manifest names the benchmark, the examples, the simulation and the simulator, though only the last is built.
COPY benches benches
COPY crates crates
COPY examples examples
COPY simulate simulate
COPY simulator simulator
COPY sql sql
COPY src src
# What --version says; the context has no repository to ask.
ARG KALSHI_INGEST_COMMIT=""
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --locked --release --features parquet --bin kalshi-ingest \
    && install -D -t /image/bin target/release/kalshi-ingest \
    && install -d /image/data

# The C library, libgcc_s, the certificates of the public authorities, no shell.
FROM gcr.io/distroless/cc-debian12:nonroot
ARG KALSHI_INGEST_COMMIT=""
LABEL org.opencontainers.image.title="kalshi-ingest" \
      org.opencontainers.image.description="Every Kalshi trade exactly once, in PostgreSQL or SQLite" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="${KALSHI_INGEST_COMMIT}" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.base.name="gcr.io/distroless/cc-debian12:nonroot"
COPY --from=build /image/bin/kalshi-ingest /usr/local/bin/kalshi-ingest
# Where the default database, sqlite:kalshi.db, may be written; a volume takes over its owner.
COPY --from=build --chown=65532:65532 /image/data /data
WORKDIR /data
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/kalshi-ingest"]
