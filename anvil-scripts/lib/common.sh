# shellcheck shell=bash disable=SC2034  # sourced: its variables are used elsewhere
#
# What every script here needs: where things are, how to say something, how to give up.
# Source it first; it changes no directory and installs nothing.

set -euo pipefail

LIB=$(cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd -P -- "$LIB/../.." && pwd)
TOOLS=${RINGS_TOOLS:-${XDG_CACHE_HOME:-${HOME:?is not set, so there is no place for the tool cache: set it, or RINGS_TOOLS}/.cache}/rings/tools}

# shellcheck source=versions.sh
. "$LIB/versions.sh"

# Progress goes to standard error: standard output is for results.
say() {
    printf '%s\n' "$*" >&2
}

# One line that says what failed and what to do, then the end.
die() {
    say "error: $*"
    exit 1
}

have() {
    command -v "$1" >/dev/null 2>&1
}

# seconds_since START: whole seconds since $SECONDS was START.
seconds_since() {
    printf '%ds' "$((SECONDS - $1))"
}

# version_at_least HAVE WANT: compares dotted numbers.
version_at_least() {
    local IFS=.
    local -a have want
    read -ra have <<<"$1"
    read -ra want <<<"$2"
    local i
    for i in "${!want[@]}"; do
        ((10#${have[i]:-0} > 10#${want[i]})) && return 0
        ((10#${have[i]:-0} < 10#${want[i]})) && return 1
    done
    return 0
}

# version_of COMMAND: the first dotted number that COMMAND --version prints, or nothing.
version_of() {
    local said ask=--version
    [[ ${1##*/} != zig ]] || ask=version # it knows no such option
    said=$("$1" "$ask" 2>/dev/null </dev/null) || return 0
    [[ $said =~ [0-9]+(\.[0-9]+)+ ]] && printf '%s' "${BASH_REMATCH[0]}"
    return 0
}

# limited SECONDS COMMAND...: ends a command that hangs (GNU timeout is absent on some systems).
limited() {
    local seconds=$1
    shift
    if have timeout; then
        timeout -k 10 "$seconds" "$@"
    else
        "$@"
    fi
}

# logged FILE COMMAND...: without standard input, its output in FILE.
logged() {
    local log=$1
    shift
    "$@" >"$log" 2>&1 </dev/null
}

# retry TIMES COMMAND...: for what goes over the network.
retry() {
    local times=$1 attempt
    shift
    for ((attempt = 1; attempt <= times; attempt++)); do
        "$@" && return 0
        ((attempt == times)) || say "  attempt $attempt of $times failed, trying again"
    done
    return 1
}
