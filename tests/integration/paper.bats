#!/usr/bin/env bats
# run-bench paper with real processes, in its smallest form. What the ratios are is not asserted.
load driver

setup_file() { common_build; }
setup() { common_setup; }

@test "a comparison that is killed with SIGKILL goes on where it was and measures each cell once" {
  "$BENCH" paper --allocators glibc,floor --workloads malloc-test --threads 1 --reps 3 --duration 0.02 \
    --claim 'floor>glibc@malloc-test' --out "$OUT" >/dev/null 2>&1 &
  local pid=$!
  for _ in $(seq 600); do
    if [ -f "$OUT/samples.csv" ] && [ "$(wc -l <"$OUT/samples.csv")" -ge 4 ]; then break; fi
    sleep 0.1
  done
  kill -9 "$pid"
  wait "$pid" || true
  [ "$(wc -l <"$OUT/samples.csv")" -lt 13 ]
  cp "$OUT/samples.csv" "$BATS_TEST_TMPDIR/before"
  local n
  n=$(wc -l <"$BATS_TEST_TMPDIR/before")
  for _ in $(seq 100); do # its driver ends by itself, when the plan ends
    "$BENCH" paper --resume "$OUT" >"$BATS_TEST_TMPDIR/said" 2>&1 && break
    grep -q 'another run-bench is writing' "$BATS_TEST_TMPDIR/said" || break
    sleep 0.1
  done
  cat "$BATS_TEST_TMPDIR/said"
  cmp <(head -"$((n - 1))" "$BATS_TEST_TMPDIR/before") <(head -"$((n - 1))" "$OUT/samples.csv")
  [ "$(wc -l <"$OUT/samples.csv")" -eq 13 ]
  [ "$(rows pass allocator repetition | sort | uniq -d | wc -l)" -eq 0 ]
  [ "$(column status | sort -u)" = ok ]
  for name in paper.md paper.tex ratios.csv paper.json pilot/samples.csv; do [ -s "$OUT/$name" ]; done
  grep -q 'n = 3: fewer than 30' "$OUT/paper.md"
  grep -q 'floor>glibc@malloc-test' "$OUT/paper.md"
}
