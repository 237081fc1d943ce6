#!/bin/sh
# system_tools.sh NAME...: see that programs (or Debian packages of these names) are there.
# As root on a machine with apt they are installed; elsewhere one line says what is missing.
missing=
for name in "$@"; do
    command -v "$name" >/dev/null 2>&1 && continue
    dpkg -s "$name" 2>/dev/null | grep -q '^Status: .* installed$' && continue
    missing="$missing $name"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    log=$(mktemp)
    export DEBIAN_FRONTEND=noninteractive
    # Somebody else may be installing something.
    install="apt-get -o DPkg::Lock::Timeout=300 install -qq -y --no-install-recommends"
    # shellcheck disable=SC2086
    if { $install $missing || { apt-get -qq update && $install $missing; }; } >"$log" 2>&1; then
        rm -f "$log"
        exit 0
    fi
    echo "missing:$missing (apt-get could not install it: $(grep -m1 '^E:' "$log"))" >&2
    rm -f "$log"
else
    echo "missing:$missing (install it with the system's package manager)" >&2
fi
exit 1
