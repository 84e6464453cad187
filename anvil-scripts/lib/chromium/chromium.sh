#!/usr/bin/env bash
# Chromium as unpack.mjs laid it down, with its own libraries and fonts.
here=$(cd -P -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/../browser" && pwd)
export LD_LIBRARY_PATH=$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} FONTCONFIG_FILE=$here/fonts.conf
exec "$here/chromium" "$@"
