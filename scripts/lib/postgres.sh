# shellcheck shell=bash
# A private Postgres for tests: source this file, call `postgres_start DIR`, use $POSTGRES_URL, call `postgres_stop`.
# Everything it has lies in DIR, it listens on loopback with a password of its own, and it ends with the shell that
# started it. No server that was there before is touched. `postgres_start DIR ADDRESS` listens at ADDRESS of a network namespace
# of its own, for everybody there. POSTGRES_FSYNC=off before the call: it forgets what was committed if the machine loses power, not if it is killed.

# Connections that tests may open at once, over all of their threads.
readonly POSTGRES_CONNECTIONS_MAX=500
readonly POSTGRES_START_TRIES_MAX=5
readonly POSTGRES_READY_SECONDS_MAX=30

POSTGRES_PID=''
POSTGRES_URL=''

# Starts a server in DIR (which must not exist yet) and sets POSTGRES_URL, which has superuser rights.
postgres_start() {
    local dir=$1 address=${2:-127.0.0.1} bin user password port try run
    bin=$(_postgres_bin) || return 1
    user=$(_postgres_user) || return 1
    password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    mkdir -p "$dir"
    (umask 077 && printf '%s' "$password" >"$dir/password")
    # From a directory that every user may enter, in no particular language, and ending with this shell. All of these
    # replace themselves with the program, so that the background process below is the server itself.
    run=(env --chdir=/ LC_ALL=C.UTF-8 setpriv --pdeathsig INT)
    if [[ $user ]]; then
        chown -R "$user" "$dir"
        run+=(--reuid="$user" --regid="$(id -g "$user")" --init-groups)
    fi
    "${run[@]}" "$bin/initdb" --pgdata="$dir/data" --username=postgres --pwfile="$dir/password" \
        --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 >"$dir/initdb.log" 2>&1 || {
        cat "$dir/initdb.log" >&2
        return 1
    }
    if [[ $address != 127.0.0.1 ]]; then
        echo 'host all all samenet scram-sha-256' >>"$dir/data/pg_hba.conf"
    fi
    for ((try = 0; try < POSTGRES_START_TRIES_MAX; try++)); do
        port=$((20000 + RANDOM % 12000))
        "${run[@]}" "$bin/postgres" -D "$dir/data" -p "$port" -c listen_addresses="$address" \
            -c unix_socket_directories="$dir" -c max_connections=$POSTGRES_CONNECTIONS_MAX -c fsync="${POSTGRES_FSYNC:-on}" \
            </dev/null >"$dir/server.log" 2>&1 &
        POSTGRES_PID=$!
        if _postgres_ready "$bin" "$address" "$port"; then
            POSTGRES_URL="postgres://postgres:$password@$address:$port/postgres"
            return 0
        fi
        postgres_stop
    done
    cat "$dir/server.log" >&2
    return 1
}

# Stops the server that postgres_start started, if there is one. What is in its directory is the caller's to remove.
postgres_stop() {
    if [[ $POSTGRES_PID ]]; then
        # SIGINT: a fast shutdown, which doesn't wait for clients.
        kill -INT "$POSTGRES_PID" 2>/dev/null || true
        wait "$POSTGRES_PID" 2>/dev/null || true
        POSTGRES_PID=''
    fi
}

# The newest server's programs. Debian keeps them out of the PATH.
_postgres_bin() {
    local newest
    newest=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
    if [[ -x $newest/postgres && -x $newest/initdb ]]; then
        printf '%s\n' "$newest"
    elif command -v initdb >/dev/null && command -v postgres >/dev/null; then
        dirname "$(command -v initdb)"
    else
        echo 'no Postgres server is installed; run scripts/setup --test' >&2
        return 1
    fi
}

# Whom the server runs as: Postgres refuses root. Empty for the caller itself.
_postgres_user() {
    if ((EUID != 0)); then
        return 0
    fi
    local user
    for user in postgres nobody; do
        if id "$user" >/dev/null 2>&1; then
            printf '%s\n' "$user"
            return 0
        fi
    done
    echo 'Postgres refuses to run as root, and there is no user "postgres" or "nobody"' >&2
    return 1
}

# Waits until this very server answers; another one on the same port would not have our process id.
_postgres_ready() {
    local bin=$1 address=$2 port=$3 deadline=$((SECONDS + POSTGRES_READY_SECONDS_MAX))
    while kill -0 "$POSTGRES_PID" 2>/dev/null && ((SECONDS < deadline)); do
        if "$bin/pg_isready" --quiet --host="$address" --port="$port"; then
            kill -0 "$POSTGRES_PID" 2>/dev/null
            return
        fi
        sleep 0.1
    done
    return 1
}
