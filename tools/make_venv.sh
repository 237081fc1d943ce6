#!/bin/sh
# make_venv.sh PYTHON FOLDER: make a virtual environment, or say in one line why not.
python=$1
folder=$2

if ! command -v "$python" >/dev/null 2>&1; then
    echo "there is no $python; install CPython 3.11 or newer, or name one: make PYTHON=/path/to/python" >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "$python is older than 3.11; name a newer one: make PYTHON=/path/to/python" >&2
    exit 1
fi
# Debian ships the module that fills an environment in a package of its own.
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    sh "$(dirname "$0")/system_tools.sh" "python$version-venv" || exit 1
fi
exec "$python" -m venv "$folder"
