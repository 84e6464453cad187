# shellcheck shell=bash disable=SC2034  # sourced: its variables are used elsewhere
#
# Runs named steps: each in a process group of its own, without standard input, its output in a log, one line with
# its time at the end. Whatever it started is ended with it, and when the script is interrupted.
# Source common.sh first, then call begin_steps.

# begin_steps NAME: where the logs go, and the traps.
begin_steps() {
    TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
    mkdir -p "$TARGET/anvil-scripts" 2>/dev/null || die "cannot write to $TARGET: does it belong to another user?"
    TARGET=$(cd -P -- "$TARGET" && pwd)
    [[ -z ${CARGO_TARGET_DIR:-} ]] || export CARGO_TARGET_DIR=$TARGET
    LOGS=$TARGET/anvil-scripts/$1
    rm -rf "$LOGS"
    mkdir -p "$LOGS"
    STEP_PID=
    STEP_NUMBER=0
    STEP_LOG=
    BEGAN=$SECONDS
    # Every process started from here on carries this mark in its environment, detached ones too.
    export RINGS_SCRIPT_RUN=$1-$$-$RANDOM
    trap 'end_steps' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
}

# step NAME COMMAND...: its output goes to a log; on failure the end of that is shown, and the script ends.
step() {
    local name=$1 began=$SECONDS log status=0
    shift
    STEP_NUMBER=$((STEP_NUMBER + 1))
    log=$(printf '%02d-%s' "$STEP_NUMBER" "${name//[^a-zA-Z0-9]/-}")
    log=$LOGS/${log:0:80}.log
    STEP_LOG=$log
    in_group "$log" "$@" || status=$?
    if ((status != 0)); then
        show_failure "$log"
        say "FAILED  $name (exit status $status) after $(seconds_since "$began"); the whole log: $log"
        return "$status"
    fi
    say "ok      $name ($(seconds_since "$began"))"
}

# show_failure LOG: the lines that name what failed, wherever they are in it, and its end.
show_failure() {
    say "----- what failed:"
    # Nothing of it may stand there: then the end of the log has to do.
    grep -E '^test .* (FAILED$|has been running)|^\[FAIL|panicked at|^error' "$1" | head -n 40 >&2 || true
    say "----- the end of the log:"
    tail -n 40 "$1" >&2
    say "-----"
}

# visible_step NAME COMMAND...: on a terminal the command shows its own progress; elsewhere it is a step with a log.
visible_step() {
    local name=$1 began=$SECONDS status=0
    if [[ ! -t 2 ]]; then
        step "$@"
        return
    fi
    shift
    in_group '' "$@" || status=$?
    ((status == 0)) || die "$name failed (exit status $status), see above"
    say "ok      $name ($(seconds_since "$began"))"
}

# in_group LOG COMMAND...: runs it as a process group, which end_steps ends; its output goes to LOG, if that is named.
in_group() {
    local log=$1 status=0
    shift
    set -m
    if [[ -n $log ]]; then # redirected here and not around the function: traps run with a function's redirections
        "$@" >"$log" 2>&1 </dev/null &
    else
        "$@" </dev/null &
    fi
    STEP_PID=$!
    set +m
    wait "$STEP_PID" || status=$?
    STEP_PID=
    return "$status"
}

# left_running: ids of processes that a step started and that still run (known on Linux only).
left_running() {
    local pid mark=RINGS_SCRIPT_RUN=$RINGS_SCRIPT_RUN
    env -u RINGS_SCRIPT_RUN grep -lzxF "$mark" /proc/[0-9]*/environ 2>/dev/null |
        while IFS=/ read -r _ _ pid _; do
            printf '%s\n' "$pid"
        done || true
}

# no_process_left: fails if a step has left one behind, and says which.
no_process_left() {
    local pid found=0
    for pid in $(left_running); do
        [[ -r /proc/$pid/cmdline ]] || continue
        found=1
        printf 'still running: %s %s\n' "$pid" "$(tr '\0' ' ' <"/proc/$pid/cmdline")"
    done
    return "$found"
}

# end_steps: ends the running step and everything that the steps have left behind.
end_steps() {
    trap - EXIT
    [[ -z $STEP_PID ]] || kill -TERM -- "-$STEP_PID" 2>/dev/null || true
    local pid round signal
    for round in 1 2 3 4 5 6 7 8 9 10; do
        signal=TERM
        ((round < 10)) || signal=KILL
        local -a pids=()
        for pid in $(left_running); do
            pids+=("$pid")
        done
        ((${#pids[@]} > 0)) || return 0
        kill "-$signal" "${pids[@]}" 2>/dev/null || true
        sleep 0.5
    done
}
