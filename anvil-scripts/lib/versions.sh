# shellcheck shell=bash disable=SC2034  # sourced by common.sh; the variables are used by the other files
#
# The pinned tools, in one place. Change a version here, and its lock (solc/package-lock.json,
# chromium/package-lock.json, kubo/go.mod, geth/go.mod) or its line in foundry.integrity with it. slither and halmos are in python/requirements.txt.

FOUNDRY_VERSION=1.7.1
SOLC_VERSION=0.8.37
KUBO_VERSION=0.42.0
GETH_VERSION=1.17.6 # only for the long run
SHELLCHECK_VERSION=0.11.0.1 # of the Python package
CHROMIUM_VERSION=153.0.0 # of the npm package
CHROMIUM_LEAST=123 # what the pages need; a newer one on PATH is used
CARGO_FUZZ_VERSION=0.13.2 # only for the long run
PODMAN_COMPOSE_VERSION=1.6.0 # of the Python package; for anvil-scripts/containers only
ZIG_VERSION=0.15.2 # of the Python package; the C compiler for wasm32-wasi where there is no such clang

NODE_MAJOR=20      # foundry's npm packages ask for it
GO_VERSION=1.26    # Kubo's go.mod asks for it; geth's asks for less
PYTHON_VERSION=3.11 # halmos asks for it
WASM_TARGET=wasm32-wasip1
# What a browser runs: the client library is checked for it.
BROWSER_TARGET=wasm32-unknown-unknown
