#!/bin/sh
# Print the first interpreter on the path that is new enough.
for name in python3 python3.13 python3.12 python3.11 python3.14; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        echo "$name"
        exit 0
    fi
done
echo python3 # make_venv.sh says what is wrong with it
