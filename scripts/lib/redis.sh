# shellcheck shell=bash
# A private Redis: source this file, call `redis_start DIR`, use $REDIS_URL, call `redis_stop`. It keeps nothing on disk, listens
# on loopback, and ends with the shell that started it.

REDIS_PID=''
REDIS_URL=''

# Starts a server that logs to DIR, which must exist, and sets REDIS_URL.
redis_start() {
    local dir=$1 address=${2:-127.0.0.1} port try
    for ((try = 0; try < 5; try++)); do
        port=$((20000 + RANDOM % 12000))
        setpriv --pdeathsig TERM redis-server --bind "$address" --protected-mode no --port "$port" --dir "$dir" --save '' --appendonly no \
            </dev/null >"$dir/redis.log" 2>&1 &
        REDIS_PID=$!
        until grep -q 'Ready to accept connections' "$dir/redis.log"; do
            # Another server has the port: try the next one.
            kill -0 "$REDIS_PID" 2>/dev/null || continue 2
            sleep 0.1
        done
        REDIS_URL=redis://$address:$port
        return 0
    done
    cat "$dir/redis.log" >&2
    return 1
}

# Stops the server that redis_start started, if there is one.
redis_stop() {
    if [[ $REDIS_PID ]]; then
        kill "$REDIS_PID" 2>/dev/null || true
        wait "$REDIS_PID" 2>/dev/null || true
        REDIS_PID=''
    fi
}
