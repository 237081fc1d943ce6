#!/bin/bash
# python314.sh [pytest arguments]: the tests on CPython 3.14 and on its debug build, or on PYTHONS.
#
# Both come from Debian sid, which debootstrap puts into a folder of the cache once (about a minute
# and 800 MB), with CPython's own tests. Ends with status 77, and the reason in the last line, where that
# can't be had.
set -u
cd "$(dirname "$0")/.." || exit 1

cache=${CUVEE_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/cuvee}
root=$cache/debian-sid
packages=python3,python3-dev,python3-venv,python3-dbg,libpython3.14-testsuite,gcc,libc6-dev,zlib1g-dev,make,pkg-config,procps

skip() {
    echo "Python 3.14: skipped: $*"
    exit 77
}

[ "$(uname -s)" = Linux ] || skip "needs Linux"
[ "$(id -u)" = 0 ] || skip "needs root, for chroot"
sh tools/system_tools.sh debootstrap || skip "there is no debootstrap"
unshare --mount true 2>/dev/null || skip "mount namespaces are not allowed here"

if [ "$(cat "$root/.complete" 2>/dev/null)" != "$packages" ]; then
    rm -rf "$root"
    mkdir -p "$root"
    log=$cache/debootstrap.log
    if ! timeout 600 debootstrap --variant=minbase --include="$packages" sid "$root" >"$log" 2>&1; then
        skip "debootstrap failed: $(grep -E '^(E|W):' "$log" | tail -n 1)"
    fi
    echo "$packages" >"$root/.complete"
fi
for name in python3.14 python3.14-dbg; do
    [ -x "$root/usr/bin/$name" ] || skip "Debian sid has no $name any more"
done

# pip works in there as outside: the same configuration, certificates and resolver.
mkdir -p "$root/root/.config/pip" "$root/etc/ssl/certs" "$root/cuvee"
for file in /etc/pip.conf "$HOME/.pip/pip.conf" "$HOME/.config/pip/pip.conf"; do
    [ -f "$file" ] && cat "$file" && echo
done >"$root/etc/pip.conf.new"
python3 - "$root/etc/pip.conf.new" "$root/etc/pip.conf" <<'END'
"""Join the host's pip configurations into one: a later value of an option wins."""
import configparser
import sys

joined = configparser.RawConfigParser(strict=False)
joined.read(sys.argv[1])
with open(sys.argv[2], "w") as file:
    joined.write(file)
END
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
certificates=/etc/ssl/certs/ca-certificates.crt
[ -f $certificates ] && cp -L $certificates "$root/etc/ssl/certs/"
mkdir -p "$root/root/.cache/cuvee"
[ -d "$cache/archives" ] && cp -r "$cache/archives" "$root/root/.cache/cuvee/"

# The tree as it stands here, without what was built from it; what was built in there stays.
mkdir -p "$root/cuvee/tree"
find "$root/cuvee/tree" -mindepth 1 -maxdepth 1 ! -name build ! -name '.venv*' -exec rm -rf {} +
tar -c --exclude=./build --exclude='./.venv*' --exclude=./.git --exclude=__pycache__ . |
    tar -x -C "$root/cuvee/tree"

cat >"$root/cuvee/run.sh" <<'END'
#!/bin/bash
# Builds and tests with each interpreter; arguments go to pytest.
cd /cuvee/tree || exit 1
export HOME=/root LANG=C.UTF-8
failed=0
for name in ${PYTHONS:-python3.14-dbg python3.14}; do
    debug=0
    [ "$name" = python3.14-dbg ] && debug=1
    echo "== $name"
    if CUVEE_DEBUG=$debug make -s test PYTHON=$name SYSTEM_TOOLS= LIBRARIES=; then
        echo "== $name: passed"
    else
        echo "== $name: FAILED"
        failed=1
    fi
done
exit $failed
END
chmod +x "$root/cuvee/run.sh"

# A mount namespace of its own: nothing stays mounted, however this ends.
CUVEE_ROOT=$root ARGS="$*" exec unshare --mount --propagation private bash -c '
    mount --rbind /proc "$CUVEE_ROOT/proc" && mount --rbind /dev "$CUVEE_ROOT/dev" || exit 1
    exec env -u CUVEE_CACHE_DIR -u XDG_CACHE_HOME -u VIRTUAL_ENV chroot "$CUVEE_ROOT" /cuvee/run.sh
'
