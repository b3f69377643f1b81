# One image for every role: `reelway serve --role …` decides what a container is. ffmpeg is only needed by a worker, but a
# second image without it would have to be built, scanned and kept at the same version, to save disk space only: what a
# process doesn't start can't be attacked.
#
#   docker build --tag reelway:local .
#   docker run --rm --read-only --env REELWAY_INSECURE=true --publish 127.0.0.1:8080:8080 --publish 127.0.0.1:50051:50051 reelway:local
#
# There is no `# syntax=` line, so that building needs no image but the two bases, and these can be exchanged for one's own.
ARG RUST_IMAGE=docker.io/library/rust:1.95-bookworm
ARG RUNTIME_IMAGE=docker.io/library/debian:bookworm-slim

# The sources without what is in them: this stage's result changes only when a dependency or a crate comes or goes.
# hadolint ignore=DL3006
FROM ${RUST_IMAGE} AS manifests
WORKDIR /src
COPY . .
RUN find . -type f ! -name Cargo.toml ! -name Cargo.lock ! -name lib.rs ! -name main.rs ! -name build.rs -delete \
    && find . -name lib.rs -exec truncate --size=0 {} + \
    && echo 'fn main() {}' >/tmp/empty.rs \
    && find . \( -name main.rs -o -name build.rs \) -exec cp /tmp/empty.rs {} \; \
    && find . -type d -empty -delete \
    && find . -exec touch --date=@0 {} +

# hadolint ignore=DL3006
FROM ${RUST_IMAGE} AS build
WORKDIR /src
# All dependencies, in a layer that lasts until Cargo.lock changes.
COPY --from=manifests /src .
RUN cargo build --release --locked --package reelway-cli
# The sources are newer than what was made of the empty ones, whatever times the checkout gave them.
COPY . .
RUN find . -name '*.rs' -exec touch {} + \
    && cargo build --release --locked --package reelway-cli

# hadolint ignore=DL3006
FROM ${RUNTIME_IMAGE}
# The distribution's ffmpeg, which gets its security updates, and the authorities for TLS to databases and webhooks.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates ffmpeg \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 reelway \
    && useradd --uid 10001 --gid 10001 --home-dir /var/lib/reelway --no-create-home --shell /usr/sbin/nologin reelway \
    && install --directory --owner=10001 --group=10001 --mode=0750 /var/lib/reelway /var/lib/reelway/store
COPY LICENSE /usr/share/doc/reelway/copyright
COPY --from=build /src/target/release/reelway /usr/local/bin/reelway

ARG RUNTIME_IMAGE
ARG VERSION=
ARG REVISION=
LABEL org.opencontainers.image.title="reelway" \
      org.opencontainers.image.description="Takes in video of any size and turns it into streaming video." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${RUNTIME_IMAGE}"

# Loopback would be the container's own. A node that listens beyond it refuses to start unless REELWAY_INSECURE says that
# the network is trusted, and that is for whoever runs it to say.
ENV REELWAY_DATA=/var/lib/reelway \
    REELWAY_HTTP=0.0.0.0:8080 \
    REELWAY_GRPC=0.0.0.0:50051 \
    REELWAY_ADMIN=0.0.0.0:9090
EXPOSE 8080 50051 9090
# The only place that is written to, scratch space included: the root file system may be read-only. A number, because
# Kubernetes can't tell from a name that it isn't root.
VOLUME ["/var/lib/reelway"]
USER 10001:10001
WORKDIR /var/lib/reelway
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["reelway", "health"]
# The process waits for every ffmpeg that it starts, so it can be the container's first one; an init does no harm.
ENTRYPOINT ["reelway"]
CMD ["serve"]
