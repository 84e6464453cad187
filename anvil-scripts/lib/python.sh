# shellcheck shell=bash
#
# slither and halmos, from PyPI, in a virtual environment of their own in the tool cache.
# Source common.sh first.

PYTHON_PLACE=$TOOLS/pkg/python
PIP_SECONDS=900

require_python() {
    have python3 || die "python3 is missing: install Python $PYTHON_VERSION or newer"
    local version
    version=$(version_of python3)
    version_at_least "$version" "$PYTHON_VERSION" || die "Python is $version, but $PYTHON_VERSION or newer is needed"
    python3 -c 'import venv, ensurepip' 2>/dev/null ||
        die "Python cannot make virtual environments here: on Debian apt-get install python3-venv"
}

# ensure_python_tools: what lib/python/requirements.txt names. The copy of that file is written last, and says that all
# of it is there: a virtual environment cannot be moved to its place when it is complete.
ensure_python_tools() {
    local began=$SECONDS wanted=$LIB/python/requirements.txt
    if cmp -s "$wanted" "$PYTHON_PLACE/requirements.txt"; then
        say "  slither and halmos are there: $PYTHON_PLACE"
        return 0
    fi
    require_python
    rm -rf "$PYTHON_PLACE"
    mkdir -p "$TOOLS/pkg"
    python3 -m venv "$PYTHON_PLACE" || die "no virtual environment could be made in $PYTHON_PLACE"
    retry 3 logged "$PYTHON_PLACE/pip.log" limited "$PIP_SECONDS" \
        "$PYTHON_PLACE/bin/pip" install --no-deps --disable-pip-version-check -r "$wanted" || {
        sed 's/^/  pip: /' "$PYTHON_PLACE/pip.log" | tail -n 5 >&2
        die "pip could not install slither and halmos: check the connection to the Python package index and try again"
    }
    cp "$wanted" "$PYTHON_PLACE/requirements.txt"
    say "  slither and halmos installed in $(seconds_since "$began"): $PYTHON_PLACE"
}
