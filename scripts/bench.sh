#!/bin/sh
# The main job in small: the quick profile over all installed allocators, its figures and its report. `make bench` calls it.
set -eu
cd "$(dirname "$0")/.."
run=results/quick-$(date -u +%Y%m%d-%H%M%S)
status=0
./run-bench --quick --out "$run" || status=$?
# 4: some cells failed; they are named in the table, the others are drawn.
[ "$status" -eq 0 ] || [ "$status" -eq 4 ] || exit "$status"
make --no-print-directory plots RUN="$run"
./run-bench report "$run"
echo
echo "written to $run:"
(cd "$run" && find . -type f | sort | sed 's,^\./,  ,')
exit "$status"
