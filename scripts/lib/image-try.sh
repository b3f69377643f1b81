# shellcheck shell=sh
# Tries the image from within, for scripts/image. Its arguments are the command that the image starts.
set -eu

fail() {
    echo "image: $*" >&2
    exit 1
}

[ "$(id -u):$(id -g)" = 10001:10001 ] || fail "it runs as $(id -u):$(id -g)"
grep -q '^CapBnd:[[:space:]]*0*$' /proc/self/status || fail 'it has capabilities'
awk '$2 == "/" { options = $4 } END { exit options !~ /(^|,)ro(,|$)/ }' /proc/mounts || fail 'its root file system can be written to'

reelway --version
reelway doctor

"$@" &
node=$!
tries=0
until reelway health >/tmp/health 2>&1; do
    kill -0 "$node" || fail 'the node ended'
    tries=$((tries + 1))
    [ "$tries" -lt 300 ] || fail "it isn't healthy after 30 s: $(cat /tmp/health)"
    sleep 0.1
done

ffmpeg -v error -f lavfi -i testsrc2=size=320x180:rate=30 -f lavfi -i sine -t 3 -c:v libx264 -pix_fmt yuv420p -c:a aac /tmp/clip.mp4
reelway upload /tmp/clip.mp4 --preset fast --json >/tmp/upload.jsonl || fail "the upload failed: $(cat /tmp/upload.jsonl)"
tail -n 1 /tmp/upload.jsonl
tail -n 1 /tmp/upload.jsonl | grep -q '"state":"succeeded"' || fail 'the job did not succeed'

kill -TERM "$node"
wait "$node" || fail "it ended with $? after SIGTERM"
