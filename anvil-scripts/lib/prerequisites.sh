# shellcheck shell=bash
#
# What must be on the machine before these scripts can install the rest. One clear line for each that is missing.
# Source common.sh first.

require_rust() {
    local want version
    have cargo || die "cargo is missing: install Rust from https://rustup.rs and open a new terminal"
    want=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$ROOT/Cargo.toml")
    version=$(version_of rustc)
    version_at_least "$version" "$want" || die "Rust is $version, but $want or newer is needed: rustup update stable"
    have cc || have gcc || have clang ||
        die "a C compiler is missing, Rust links with it: on Debian apt-get install gcc, on macOS xcode-select --install"
}

# require_rust_component COMMAND COMPONENT: clippy and rustfmt are left out of rustup's minimal profile.
require_rust_component() {
    cargo "$1" --version >/dev/null 2>&1 && return 0
    have rustup || die "cargo $1 is missing, and so is rustup: install Rust from https://rustup.rs"
    retry 3 logged /dev/null limited 300 rustup component add "$2" ||
        die "rustup could not add $2: check the connection and try: rustup component add $2"
    say "  Rust component $2 installed"
}

require_node() {
    local version
    have node || die "node is missing: install Node.js $NODE_MAJOR or newer with npm (https://nodejs.org)"
    version=$(version_of node)
    version_at_least "$version" "$NODE_MAJOR" ||
        die "node is $version, but $NODE_MAJOR or newer is needed: https://nodejs.org"
    have npm || die "npm is missing: it comes with Node.js (https://nodejs.org), on Debian as the package npm"
}

# Go builds Kubo; who has a fitting ipfs already does not need it.
require_go() {
    local said
    find_tool ipfs >/dev/null && return 0
    have go || die "go is missing: install Go $GO_VERSION or newer (https://go.dev/dl), it builds Kubo for the tests"
    said=$(go version)
    [[ $said =~ go([0-9]+\.[0-9]+) ]] || die "cannot read the version of go from: $said"
    version_at_least "${BASH_REMATCH[1]}" "$GO_VERSION" ||
        die "go is ${BASH_REMATCH[1]}, but $GO_VERSION or newer is needed: https://go.dev/dl"
}
