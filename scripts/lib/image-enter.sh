#!/usr/bin/env bash
# Runs a command in the root file system of an image, as strictly as docker-compose.yml has it: read-only but for /tmp and
# the volume, as the image's user, without capabilities. For scripts/image, in namespaces that unshare has made.
#
#   image-enter.sh ROOT UID:GID VOLUME [NAME=VALUE...] -- COMMAND [ARGUMENT...]
set -euo pipefail
root=$1 user=$2 volume=$3
shift 3
environment=()
while [[ $1 != -- ]]; do
    environment+=("$1")
    shift
done
shift

mount --make-rprivate /
ip link set lo up
mount --bind "$root" "$root"
mount --bind "$root$volume" "$root$volume"
mount -t tmpfs -o mode=1777,nosuid,nodev,noexec tmpfs "$root/tmp"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -o remount,bind,ro "$root"
exec env --ignore-environment "${environment[@]}" chroot "$root" \
    setpriv --reuid="${user%:*}" --regid="${user#*:}" --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all "$@"
