# shellcheck shell=bash
#
# What anvil-scripts/containers does, step by step: Podman on a machine that may be a container itself, the image, the ring.
#
# It uses MEMBERS, OWNER, PROJECT, PROGRAM, WASM, PATIENCE, WHOLE and WORK (a directory that is removed at the end).
# Source common.sh and tools.sh first.

IMAGE=rings
# shellcheck disable=SC2153 # of common.sh
DOCKER=$ROOT/packaging/docker
# Those of the Dockerfile's last stage: what gcr.io/distroless/cc-debian12 is made of.
BASE_PACKAGES=(base-files netbase tzdata ca-certificates libc6 libgcc-s1 gcc-12-base libstdc++6 libssl3)
CHAIN_PORT=8545
# The bridge of the compose file's network on this machine.
GATEWAY=10.77.0.1

require_podman() {
    local tool
    [[ $(id -u) == 0 ]] || die "this needs root"
    for tool in podman python3; do
        have "$tool" || die "$tool is missing; see --help for Debian's packages"
    done
    have runc || have crun || die "runc or crun is missing; see --help for Debian's packages"
}

# Compose for Podman, always the pinned one: that of Debian 12 does not know fixed addresses.
ensure_compose() {
    local place=$TOOLS/pkg/podman-compose-$PODMAN_COMPOSE_VERSION
    COMPOSE=$place/bin/podman-compose
    [[ ! -x $COMPOSE ]] || return 0
    rm -rf "$place"
    if ! { logged "$WORK/pip.log" python3 -m venv "$place" &&
        logged "$WORK/pip.log" "$place/bin/pip" install "podman-compose==$PODMAN_COMPOSE_VERSION"; }; then
        die "podman-compose cannot be installed: $(tail -n 2 "$WORK/pip.log")"
    fi
}

podman_quietly() {
    logged "$WORK/podman.log" podman "$@" || die "podman $1 failed: $(tail -n 3 "$WORK/podman.log")"
}

# Podman raises limits of its own to what the kernel allows, which this machine may not be allowed to: then the containers have the limits
# of this machine. Files of cgroups are mounted by runc on machines of any age, by crun on newer ones only.
configure_podman() {
    local runtime=crun
    ! have runc || runtime=runc
    cat >"$WORK/runtime" <<END
#!/bin/sh
take=
for word; do
    [ "\$take" = '' ] || bundle=\$word
    take=
    case \$word in --bundle | -b) take=1 ;; --bundle=*) bundle=\${word#--bundle=} ;; esac
done
[ -z "\${bundle:-}" ] || python3 "$LIB/without_limits.py" "\$bundle/config.json"
exec $runtime "\$@"
END
    chmod 755 "$WORK/runtime"
    cat >"$WORK/containers.conf" <<END
[containers]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "rehearsal"
[engine.runtimes]
rehearsal = ["$WORK/runtime"]
END
    export CONTAINERS_CONF=$WORK/containers.conf
}

# base_of STAGE: what the Dockerfile's first or last stage begins from.
base_of() {
    awk '/^FROM/ { print $2 }' "$DOCKER/Dockerfile" | case $1 in first) head -n 1 ;; last) tail -n 1 ;; esac
}

make_image() {
    local base
    base=$(base_of last)
    say "The image, from $base"
    podman image exists "$base" || limited 60 podman pull --quiet "$base" >/dev/null 2>&1 || make_base "$base"
    if [[ -n $WHOLE ]]; then
        podman_quietly build --tag "$IMAGE" --file "$DOCKER/Dockerfile" "$ROOT"
    else
        mkdir "$WORK/image"
        cp "$PROGRAM" "$WORK/image/rings"
        # The last stage as it is, with the program from beside it and not from the stage that builds it.
        awk '/^FROM/ { stage++ } stage > 1' "$DOCKER/Dockerfile" |
            sed 's|--from=build /source/target/release/rings|rings|' >"$WORK/image/Dockerfile"
        podman_quietly build --tag "$IMAGE" "$WORK/image"
    fi
    say "  $(podman image inspect --format '{{.Size}}' "$IMAGE") bytes"
}

# make_base NAME: an image of that name with libc, certificates and the user nonroot, and without a shell.
make_base() {
    say "  no registry has it here: it is made from Debian's packages"
    local root=$WORK/root
    mkdir -p "$root/etc" "$WORK/packages"
    (cd "$WORK/packages" && logged "$WORK/apt.log" apt-get download "${BASE_PACKAGES[@]}") ||
        die "Debian's packages cannot be fetched: $(tail -n 2 "$WORK/apt.log")"
    local package
    for package in "$WORK"/packages/*.deb; do
        dpkg-deb --extract "$package" "$root"
    done
    mkdir -p "$root/etc/ssl/certs" "$root/home/nonroot"
    find "$root/usr/share/ca-certificates" -name '*.crt' -print0 | sort -z | xargs -0 cat >"$root/etc/ssl/certs/ca-certificates.crt"
    printf '%s:x:%s:%s::%s:/sbin/nologin\n' root 0 0 /root nonroot 65532 65532 /home/nonroot >"$root/etc/passwd"
    printf '%s:x:%s:\n' root 0 nonroot 65532 >"$root/etc/group"
    chown 65532:65532 "$root/home/nonroot"
    rm -rf "$root"/usr/share/{doc,man,locale}
    tar -C "$root" -c . | logged_input "$WORK/podman.log" podman import --change USER=65532 --change WORKDIR=/home/nonroot - "$1" ||
        die "the base cannot be imported: $(tail -n 3 "$WORK/podman.log")"
}

# logged_input FILE COMMAND...: its output in FILE.
logged_input() {
    local log=$1
    shift
    "$@" >"$log" 2>&1
}

compose() {
    MEMBERS_USER=$OWNER CHAIN_URL=http://$GATEWAY:$CHAIN_PORT \
        "$COMPOSE" -p "$PROJECT" -f "$WORK/compose/compose.yaml" "$@" >>"$WORK/compose.log" 2>&1 ||
        die "podman-compose $1 failed: $(tail -n 5 "$WORK/compose.log")"
}

# container N: the name of member N's container.
container() {
    podman ps --all --filter "name=${PROJECT}_member$1" --format '{{.Names}}'
}

# Directories of the members as docs/operate.md makes them, the contracts, and then the containers.
start_ring() {
    mkdir "$WORK/compose"
    cp "$DOCKER/compose.yaml" "$WORK/compose/"
    "$(find_tool anvil)" --silent --host 0.0.0.0 --port "$CHAIN_PORT" --chain-id 1337 >"$WORK/anvil.log" 2>&1 </dev/null &
    ANVIL=$!
    local n dir
    for ((n = 1; n <= MEMBERS; n++)); do
        dir=$WORK/compose/member$n
        mkdir "$dir"
        (
            umask 077
            head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n' >"$dir/password"
            head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n' >"$dir/token"
        )
        "$PROGRAM" key new --out "$dir/key.json" --password-file "$dir/password"
    done >"$WORK/members.txt" 2>"$WORK/keys.log"
    # The first account of every anvil.
    (umask 077 && printf '%s\n' ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80 >"$WORK/payer")
    retry 20 logged "$WORK/deploy.log" "$PROGRAM" deploy --dir "$WORK/ring" --rpc "http://127.0.0.1:$CHAIN_PORT" \
        --key "$WORK/payer" --members "$WORK/members.txt" --fund 1 || die "$(tail -n 2 "$WORK/deploy.log")"
    RING=$(awk '$1 == "ring" { print $2 }' "$WORK/deploy.log")
    for ((n = 1; n <= MEMBERS; n++)); do
        dir=$WORK/compose/member$n
        # The chain, the network and the HTTP side come from the compose file.
        printf '[ring]\naddress = "%s"\n[key]\nkeystore = "key.json"\npassword_file = "password"\n[rpc]\ntoken_file = "token"\n' \
            "$RING" >"$dir/node.toml"
        chown -R "$OWNER" "$dir"
    done
    chmod 711 "$WORK" "$WORK/compose"
    compose up --no-build --detach
    wait_for_peers
    join_ring
}

# member_url N
member_url() {
    printf 'http://127.0.0.1:%d' $((7540 + $1))
}

wait_for_peers() {
    local n began=$SECONDS said
    for ((n = 1; n <= MEMBERS; n++)); do
        until said=$(rings_status "$n") && [[ $said == "true $((MEMBERS - 1))" ]]; do
            ((SECONDS - began < PATIENCE)) || {
                podman logs --tail 10 "$(container "$n")" >&2
                die "member $n is not connected to all others: $said"
            }
            sleep 0.5
        done
    done
}

# rings_status N: whether member N follows its chain, and how many others it is connected to.
rings_status() {
    "$PROGRAM" status --json --rpc "http://127.0.0.1:$CHAIN_PORT" --ring "$RING" --member "$(member_url "$1")" 2>/dev/null |
        python3 -c 'import json, sys
for member in json.load(sys.stdin)["members"]:
    if member.get("peers") is not None: print(str(member["following"]).lower(), member["peers"])' 2>/dev/null
}

join_ring() {
    local n
    local -a others=()
    for ((n = 2; n <= MEMBERS; n++)); do
        others+=(--member "$(member_url "$n")")
    done
    local -a join=("$PROGRAM" join --dir "$WORK/ring" --rpc "http://127.0.0.1:$CHAIN_PORT" --ring "$RING")
    if ! { logged "$WORK/join.log" "${join[@]}" --member "$(member_url 1)" --token "$WORK/compose/member1/token" --key "$WORK/payer" &&
        logged "$WORK/join.log" "${join[@]}" "${others[@]}"; }; then
        die "$(tail -n 2 "$WORK/join.log")"
    fi
}

# result TEXT: runs a program on the ring, and compares.
result() {
    local got
    got=$(printf '%s\n' "$1" | "$PROGRAM" run --dir "$WORK/ring" --quiet "$WASM") || die "no result for: $1"
    [[ $(awk '{ print $1, $2, $3 }' <<<"$got") == "$(printf '%s\n' "$1" | wc | awk '{ print $1, $2, $3 }')" ]] || die "another result: $got"
    say "  $1: $got"
}

# check_confinement N: what the kernel says of the process in the container, not what was asked for.
check_confinement() {
    local pid
    pid=$(podman inspect --format '{{.State.Pid}}' "$(container "$1")")
    field() { awk -v name="$1:" '$1 == name { print $2 }' "/proc/$pid/status"; }
    [[ $(field Uid) == "${OWNER%:*}" ]] || die "member $1 runs as user $(field Uid)"
    [[ $(field CapEff)$(field CapBnd) =~ ^0+$ ]] || die "member $1 has capabilities: $(field CapEff) of $(field CapBnd)"
    [[ $(field NoNewPrivs) == 1 ]] || die "member $1 may gain privileges"
    awk '$5 == "/" { print $6 }' "/proc/$pid/mountinfo" | grep -qE '(^|,)ro(,|$)' || die "the root of member $1 can be written"
    [[ ! -e /proc/$pid/root/bin/sh ]] || die "there is a shell in the image"
    say "  member $1: user $(field Uid), no capabilities, no new privileges, a root that cannot be written, no shell"
}

clean_up() {
    local status=$?
    trap - EXIT
    if [[ -f $WORK/compose/compose.yaml ]]; then
        (compose down) || true
    fi
    [[ -z ${ANVIL:-} ]] || kill "$ANVIL" 2>/dev/null || true
    rm -rf "$WORK"
    exit "$status"
}
