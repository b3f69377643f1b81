# shellcheck shell=bash
# Tries a built image, for scripts/image: source this file, set ENGINE, call `try_image TAG`.

# Runs scripts/lib/image-try.sh in the image as the image's user, without capabilities, on a read-only root file system, and
# gives it the command that the image starts.
try_image() {
    local tag=$1 entry
    echo "image: trying $tag"
    if [[ ${ENGINE[0]} == buildah ]]; then
        try_with_buildah "$tag"
        return
    fi
    read -ra entry < <("${ENGINE[@]}" image inspect --format '{{join .Config.Entrypoint " "}} {{join .Config.Cmd " "}}' "$tag")
    "${ENGINE[@]}" run --rm --init --network none --read-only --cap-drop ALL --security-opt no-new-privileges \
        --tmpfs /tmp:mode=1777 --env REELWAY_INSECURE=true --entrypoint sh "$tag" \
        -c "$(<scripts/lib/image-try.sh)" try "${entry[@]}"
}

# The same without an engine that runs containers: in namespaces of its own, which end with the process.
try_with_buildah() {
    local tag=$1 container root environment entry status=0
    container=$("${ENGINE[@]}" from --pull-never "$tag")
    root=$("${ENGINE[@]}" mount "$container")
    mapfile -t environment < <(image_lines "$tag" Env)
    mapfile -t entry < <(image_lines "$tag" Entrypoint && image_lines "$tag" Cmd)
    unshare --mount --pid --net --ipc --uts --fork --kill-child -- \
        bash scripts/lib/image-enter.sh "$root" "$(image_field "$tag" .User)" \
        "$(image_field "$tag" 'range $dir, $_ := .Volumes}}{{$dir}}{{end')" "${environment[@]}" REELWAY_INSECURE=true -- \
        sh -c "$(<scripts/lib/image-try.sh)" try "${entry[@]}" || status=$?
    "${ENGINE[@]}" umount "$container" >/dev/null
    "${ENGINE[@]}" rm "$container" >/dev/null
    return "$status"
}

# A list in the image's configuration, an entry a line.
image_lines() {
    image_field "$1" "range .$2}}{{println .}}{{end" | sed '/^$/d'
}

# Something of the image's configuration, in Go's template language.
image_field() {
    "${ENGINE[@]}" inspect --type image --format "{{with .Docker.Config}}{{$2}}{{end}}" "$1"
}
