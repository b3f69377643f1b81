# shellcheck shell=bash
# Stand-ins for the two base images where no registry can be reached, for scripts/image: source this file, call
# `private_buildah` and `make_bases`, and give the build $RUST_BASE and $RUNTIME_BASE.

readonly DEBIAN_SUITE=bookworm
readonly DEBIAN_MIRROR=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
readonly RUNTIME_BASE=localhost/reelway-base:$DEBIAN_SUITE
readonly RUST_BASE=localhost/reelway-base-rust:$DEBIAN_SUITE

# Sets ENGINE to a buildah whose images and containers are in $PLACE, apart from all others of this machine.
private_buildah() {
    local tool
    for tool in buildah debootstrap; do
        if ! command -v "$tool" >/dev/null; then
            echo "image: --local-bases needs $tool: apt-get install --no-install-recommends buildah debootstrap" >&2
            return 1
        fi
    done
    if ((EUID != 0)); then
        echo 'image: --local-bases needs root, for debootstrap' >&2
        return 1
    fi
    local driver=vfs
    if grep -qw overlay /proc/filesystems; then
        driver=overlay
    fi
    mkdir -p "$PLACE"
    # In a chroot: that needs no runtime, no cgroups and no network set-up.
    export BUILDAH_ISOLATION=chroot
    ENGINE=(buildah --root "$PLACE/storage" --runroot "$PLACE/run" --storage-driver "$driver")
}

# Makes the bases that aren't there yet.
make_bases() {
    has_image "$RUNTIME_BASE" || make_runtime_base
    # With another Rust it is another base.
    local rust
    rust=$(rustc --version)
    if [[ $(image_label "$RUST_BASE" rust) != "$rust" ]]; then
        make_rust_base "$rust"
    fi
}

has_image() {
    "${ENGINE[@]}" inspect --type image "$1" >/dev/null 2>&1
}

image_label() {
    "${ENGINE[@]}" inspect --type image --format "{{index .Docker.Config.Labels \"$2\"}}" "$1" 2>/dev/null || true
}

# What debian:bookworm-slim is: the smallest Debian.
make_runtime_base() {
    local container root
    echo "image: making $RUNTIME_BASE"
    container=$("${ENGINE[@]}" from scratch)
    root=$("${ENGINE[@]}" mount "$container")
    debootstrap --variant=minbase "$DEBIAN_SUITE" "$root" "$DEBIAN_MIRROR" >"$PLACE/debootstrap.log" || {
        tail -n 20 "$PLACE/debootstrap.log" >&2
        return 1
    }
    printf 'deb %s %s main\n' "$DEBIAN_MIRROR" "$DEBIAN_SUITE" "$DEBIAN_MIRROR" "$DEBIAN_SUITE-updates" \
        "${DEBIAN_MIRROR%/*}/debian-security" "$DEBIAN_SUITE-security" >"$root/etc/apt/sources.list"
    "${ENGINE[@]}" config --cmd bash --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
    keep "$container" "$RUNTIME_BASE"
}

# What rust:…-bookworm is: a C compiler and Rust, here this machine's.
make_rust_base() {
    local rust=$1 container root sysroot
    echo "image: making $RUST_BASE with $rust"
    container=$("${ENGINE[@]}" from --pull-never "$RUNTIME_BASE")
    "${ENGINE[@]}" run "$container" -- sh -c \
        'apt-get -qq update && apt-get -qq install --yes --no-install-recommends ca-certificates g++ git make perl pkg-config' \
        >"$PLACE/apt.log" 2>&1 || {
        tail -n 20 "$PLACE/apt.log" >&2
        return 1
    }
    root=$("${ENGINE[@]}" mount "$container")
    sysroot=$(rustc --print sysroot)
    cp "$sysroot"/bin/{cargo,rustc} "$root/usr/local/bin/"
    cp -a "$sysroot"/lib/*.so* "$root/usr/local/lib/"
    mkdir -p "$root/usr/local/lib/rustlib"
    cp -a "$sysroot/lib/rustlib/$(rustc --print host-tuple)" "$root/usr/local/lib/rustlib/"
    # Whom this machine trusts, so that cargo gets through a proxy that the machine knows.
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
    "${ENGINE[@]}" config --label "rust=$rust" "$container"
    keep "$container" "$RUST_BASE"
}

# Makes a working container an image and removes it.
keep() {
    "${ENGINE[@]}" umount "$1" >/dev/null
    "${ENGINE[@]}" commit --quiet --rm "$1" "$2" >/dev/null
}
