#!/bin/sh
# autobahn.sh PYTHON FOLDER: install Autobahn's test suite into FOLDER, in an environment of Python 2.7, unless it is
# there. PYTHON is one that has venv. Where there is no Python 2.7 one line says so, and the folder stays away.
set -u
python=$1 folder=$2
[ -x "$folder/bin/wstest" ] && exit 0

old=$(command -v python2.7 2>/dev/null)
"$old" -c '' 2>/dev/null ||
    old=$(ls -d "${PYENV_ROOT:-$HOME/.pyenv}"/versions/2.7.*/bin/python2.7 2>/dev/null | sort -V | tail -n 1)
if [ -z "$old" ]; then
    echo "missing: Python 2.7, which Autobahn's test suite runs on" >&2
    exit 1
fi

maker=$(mktemp -d) || exit 1
trap 'rm -rf "$maker"' EXIT
"$python" -m venv "$maker" &&
    "$maker/bin/python" -m pip install -qq virtualenv==20.21.1 &&
    "$maker/bin/python" -m virtualenv -q -p "$old" "$folder" &&
    "$folder/bin/python" -m pip install -q -r requirements/autobahn.txt >"$maker/log" 2>&1 && exit 0
echo "missing: Autobahn's test suite ($(tail -n 1 "$maker/log" 2>/dev/null))" >&2
rm -rf "$folder"
exit 1
