#!/usr/bin/env bats
# run-bench gate with real processes, in its smallest form. What it answers depends on the machine and is not asserted.
load driver

setup_file() { common_build; }
setup() { common_setup; }

@test "a gate measures both sides, writes its files and agrees with itself when judged again" {
  local a=$BATS_TEST_TMPDIR/a.so b=$BATS_TEST_TMPDIR/b.so
  cp "$BUILD/fixtures/sound.so" "$a"
  cp "$BUILD/fixtures/sound.so" "$b"
  local sides=(--baseline "x=$a" --candidate "x=$b" --max-pairs 5 --max-run-delay 99%)
  run "$BENCH" gate "${sides[@]}" --workloads malloc-test --threads 1 --out "$OUT"
  echo "$output"
  [ "$status" -eq 0 ] || [ "$status" -eq 1 ] || [ "$status" -eq 3 ]
  local first=$status
  for name in samples.csv plan.csv manifest.json pairs.csv gate.json gate.md gate.xml gate.svg gate.png; do
    [ -s "$OUT/$name" ]
  done
  [ "$(column allocator | sort | uniq -c | awk '{ print $2 }' | xargs)" = "x.base x.cand" ]
  [ "$(column library_sha256 | sort -u | wc -l)" -eq 1 ]
  run "$BENCH" gate "${sides[@]}" --replay "$OUT"
  echo "$output"
  [ "$status" -eq "$first" ]
}

@test "what cannot be gated is refused before anything is measured" {
  refused "are more than this machine's processing units" gate --baseline glibc --candidate arena \
    --threads 512 --workloads malloc-test --out "$OUT"
  refused "unknown workload" gate --baseline glibc --candidate arena --workloads nonsense --out "$OUT"
  refused "cannot find the library" gate --baseline glibc --candidate x=/no/such.so --out "$OUT"
  [ ! -e "$OUT" ]
}

@test "a candidate that crashes is exit code 4" {
  run "$BENCH" gate --baseline glibc --candidate "x=$BUILD/fixtures/crash.so" --workloads malloc-test --threads 1 --out "$OUT"
  echo "$output"
  [ "$status" -eq 4 ]
  [[ "$output" == *"ERROR: candidate: "* ]]
}

@test "counts of one library under two names agree, and one that needs more is found" {
  local a=$BATS_TEST_TMPDIR/a.so b=$BATS_TEST_TMPDIR/b.so
  cp "$BUILD/fixtures/sound.so" "$a"
  cp "$BUILD/fixtures/sound.so" "$b"
  run "$BENCH" gate --exact --baseline "x=$a" --candidate "x=$b" --workloads malloc-test --out "$OUT"
  echo "$output"
  [[ "$output" == *"allocator instructions per operation"*"PASS"* ]]
  never grep -q '"verdict": "fail"' "$OUT/gate.json"
  run "$BENCH" gate --exact --baseline floor --candidate "x=$b" --workloads malloc-test --out "$OUT-2"
  echo "$output"
  [ "$status" -eq 1 ]
  grep -q 'allocator instructions per operation | FAIL' "$OUT-2/gate.md"
}
