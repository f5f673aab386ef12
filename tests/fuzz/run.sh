#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the fuzz targets under libFuzzer with ASan and UBSan, ten minutes each, one after another:
#
#     tests/fuzz/run.sh [--seconds N] [--build DIRECTORY] [TARGET...]
#
# The build is made if it is not there. What is found new goes into DIRECTORY/corpus/TARGET, an input that
# fails into DIRECTORY/TARGET-crash-...: it belongs into tests/fuzz/corpus/TARGET, with the fix.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
build=$root/build-fuzz
seconds=600
while [ $# -gt 0 ]; do
        case $1 in
        --seconds) seconds=$2; shift 2 ;;
        --build) build=$2; shift 2 ;;
        -*) echo "usage: run.sh [--seconds N] [--build DIRECTORY] [TARGET...]" >&2; exit 64 ;;
        *) break ;;
        esac
done
if [ $# -eq 0 ]; then
        for source in "$root"/tests/fuzz/fuzz-*.c; do
                name=$(basename "$source" .c)
                set -- "$@" "${name#fuzz-}"
        done
fi

[ -f "$build/build.ninja" ] || CC=clang CFLAGS=-fsanitize=fuzzer-no-link meson setup "$build" "$root" \
        -Dfuzz=enabled -Dtests=enabled -Db_sanitize=address,undefined -Db_lundef=false >"$build.log"
for target; do
        ninja -C "$build" "tests/fuzz/fuzz-$target" >"$build/$target.log"
done

failed=0
for target; do
        log=$build/$target.log
        own=$build/corpus/$target
        mkdir -p "$own"
        set -- "-max_total_time=$seconds" -timeout=10 -malloc_limit_mb=512 -print_final_stats=1 -entropic=0 \
                "-artifact_prefix=$build/$target-"
        # (Its entropic schedule costs more than these targets do.)
        # With libfyaml before 0.8 a faulty text costs 4 KB for good (model/base/yaml.c), and the whole
        # program is left without ceremony where it would wait for ever.
        case $target in
        roster | yaml | command-line) set -- "$@" -rss_limit_mb=8000 -detect_leaks=0; export ASAN_OPTIONS=detect_leaks=0 ;;
        *) set -- "$@" -rss_limit_mb=1024; unset ASAN_OPTIONS ;;
        esac
        [ -f "$root/tests/fuzz/dictionaries/$target.dict" ] &&
                set -- "$@" "-dict=$root/tests/fuzz/dictionaries/$target.dict"
        # The first folder is the one that grows.
        case $target in
        roster | yaml) set -- "$@" "$own" "$root/tests/fuzz/corpus/roster" "$root/tests/unit/model/rosters" \
                "$root/framework/fleet/examples" ;;
        *) set -- "$@" "$own" "$root/tests/fuzz/corpus/$target" ;;
        esac
        begin=$(date +%s)
        if "$build/tests/fuzz/fuzz-$target" "$@" >"$log" 2>&1; then
                verdict=ok
        else
                verdict=FAILED
                failed=1
        fi
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -1)
        covered=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -1)
        echo "$target: $verdict, ${runs:-?} runs in $(($(date +%s) - begin)) s, ${covered:-?} edges ($log)"
done
exit $failed
