# shellcheck shell=bash
#
# What must be on the machine before these scripts can install the rest. One clear line for each that is missing.
# Source common.sh first.

require_rust() {
    have cargo || die "cargo is missing: install Rust from https://rustup.rs and open a new terminal"
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
