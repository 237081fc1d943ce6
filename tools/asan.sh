#!/bin/sh
# asan.sh PYTHON [pytest arguments]: the Python tests against an extension under ASan and UBSan.
python=$1
shift
site=$PWD/build/asan/site

rm -rf "$site" build/lib*
CUVEE_SANITIZE=address,undefined "$python" -m pip install -qq --no-build-isolation --no-deps \
    --target "$site" . || exit 1

# The interpreter is not instrumented, so the run-time libraries have to be there before it; and it
# keeps memory of its own to the end, so leaks are counted by `make leaks` in its place. Reports go past
# pytest's capture; an allocation that is too large fails, as it would without a sanitizer.
cc=${CC:-cc}
LD_PRELOAD="$("$cc" -print-file-name=libasan.so):$("$cc" -print-file-name=libubsan.so)" \
    ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:strict_string_checks=1:allocator_may_return_null=1 \
    UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
    PYTHONMALLOC=malloc PYTHONPATH="$site" \
    exec "$python" -m pytest --capture=sys --ignore=tests/leaks "$@"
