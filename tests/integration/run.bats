#!/usr/bin/env bats
# Runs from beginning to end: what they leave behind, and what an interruption leaves.

load driver

setup_file() {
  common_build
}

setup() {
  common_setup
}

# start ARG...: a sweep of 96 short cells in the background, its pid in PID.
start() {
  "$BUILD/run-bench" --threads 1..4 --reps 3 --duration 30ms --workloads malloc-test,larson --allocators \
    glibc,jemalloc,mimalloc,tcmalloc --out "$OUT" "$@" >"$BATS_TEST_TMPDIR/log" 2>&1 3>&- &
  PID=$!
}

# wait_rows N: until samples.csv has as many lines.
wait_rows() {
  for _ in $(seq 600); do
    [ -e "$OUT/samples.csv" ] && [ "$(wc -l <"$OUT/samples.csv")" -ge "$1" ] && return 0
    sleep 0.05
  done
  cat "$BATS_TEST_TMPDIR/log"
  return 1
}

@test "a run folder holds plan, samples, manifest, topology and summary" {
  run "$BENCH" --threads 1,2 --reps 2 --duration 50ms --workloads malloc-test,larson --allocators glibc,jemalloc --out "$OUT"
  echo "$output"
  [ "$status" -eq 0 ]
  every_cell_once
  [ "$(column status | sort -u)" = ok ]
  [ "$(column pinned | sort -u)" = 1 ]
  [ "$(column run_id | sort -u | wc -l)" -eq 1 ]
  for file in samples.csv plan.csv manifest.json topology.xml summary.csv; do
    [ -s "$OUT/$file" ]
    [[ "$output" == *"$OUT/$file"* ]]
  done
  # Throughput where it is due, and counts in the audit.
  [ "$(rows pass ops_per_s | grep -cx 'timed ')" -eq 0 ]
  [ "$(rows pass counted_allocs | grep -cx 'audit ')" -eq 0 ]
  diff <(column expected_allocs | head -8) <(column counted_allocs | head -8)
  diff <(head -1 "$OUT/samples.csv" | tr , '\n') <("$BENCH" --columns | sed -n 's/^| `\([a-z0-9_]*\)`.*/\1/p')
}

@test "the manifest follows its schema and names what was measured" {
  run "$BENCH" --quick --workloads malloc-test --allocators 'glibc,je=/usr/lib/x86_64-linux-gnu/libjemalloc.so.2[MALLOC_CONF=tcache:false,narenas:2]' --out "$OUT"
  echo "$output"
  [ "$status" -eq 0 ]
  "$ROOT/scripts/python" - "$OUT" "$ROOT/docs/manifest.schema.json" "$BUILD" <<'PY'
import hashlib, json, sys
import jsonschema
manifest = json.load(open(f"{sys.argv[1]}/manifest.json"))
schema = json.load(open(sys.argv[2]))
jsonschema.Draft202012Validator.check_schema(schema)
jsonschema.validate(manifest, schema)
sha = lambda path: hashlib.sha256(open(path, "rb").read()).hexdigest()
assert manifest["topology_sha256"] == sha(f"{sys.argv[1]}/topology.xml")
je = manifest["allocators"][1]
assert je["sha256"] == sha(je["library_path"]) and je["config"] == "MALLOC_CONF=tcache:false,narenas:2"
assert manifest["cells"] == {"planned": 24, "ok": 24, "skipped": 0, "failed": 0}, manifest["cells"]
assert manifest["build"]["cell_sha256"] == sha(f"{sys.argv[3]}/cell")
assert manifest["build"]["driver_sha256"] == sha(f"{sys.argv[3]}/run-bench")
assert manifest["build"]["workload_flags"] == "-fno-builtin"
assert manifest["ended"] is not None and not manifest["was_stopped"]
PY
  column config | grep -qx 'MALLOC_CONF=tcache:false,narenas:2'
}

@test "preload is recorded and works for every kind" {
  run "$BENCH" --threads 2 --reps 1 --duration 50ms --load preload --workloads malloc-test --allocators arena,glibc,jemalloc,tbbmalloc,null --out "$OUT"
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$(column load | sort -u)" = preload ]
  [ "$(column status | sort -u)" = ok ]
}

@test "a path that LD_PRELOAD cannot name is skipped for that reason" {
  mkdir "$BATS_TEST_TMPDIR/a b"
  cp "$BUILD/fixtures/sound.so" "$BATS_TEST_TMPDIR/a b/mine.so"
  run "$BENCH" --threads 1 --reps 1 --ops 1000 --load preload --workloads malloc-test \
    --allocators "mine=$BATS_TEST_TMPDIR/a b/mine.so,glibc" --out "$OUT"
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$(rows allocator status | sort -u)" = "$(printf 'glibc ok\nmine skip')" ]
  [ "$(column why | sort -u | grep .)" = "LD_PRELOAD cannot name a path with a blank or a colon: $BATS_TEST_TMPDIR/a b/mine.so" ]
}

@test "a reader that goes away costs neither rows nor summary" {
  run bash -c "set -o pipefail; '$BENCH' --threads 1 --reps 1 --ops 1000 --workloads malloc-test --allocators glibc --out '$OUT' | true"
  echo "$output"
  [ "$status" -ne 141 ]
  every_cell_once
  [ -s "$OUT/summary.csv" ]
  grep -q '"ended": "' "$OUT/manifest.json"
}

@test "placement none pins nothing" {
  run "$BENCH" --threads 2 --reps 1 --ops 1000 --placement none --workloads malloc-test --allocators glibc --out "$OUT"
  [ "$status" -eq 0 ]
  [ "$(column pinned | sort -u)" = 0 ]
  [ -z "$(column pus | tr -d '\n')" ]
}

@test "--ops ends cells by operations" {
  run "$BENCH" --threads 2 --reps 1 --ops 4096 --workloads malloc-test --allocators glibc --out "$OUT"
  [ "$status" -eq 0 ]
  [ "$(column ops_target | sort -u)" = 4096 ]
  [ "$(column ops | sort -u)" = 4096 ]
  [ -z "$(column duration_ns | tr -d '\n')" ]
}

@test "--wrap runs cells under a command" {
  run "$BENCH" --threads 1 --reps 1 --ops 1000 --workloads malloc-test --allocators glibc --out "$OUT" --wrap 'nice -n 5'
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$(column status | sort -u)" = ok ]
}

@test "the user's variables do not reach measured processes, those of allocators do" {
  MALLOC_ARENA_MAX=1 run "$BENCH" --threads 1 --reps 1 --ops 1000 --workloads malloc-test --allocators glibc --out "$OUT"
  [ "$status" -eq 0 ]
  grep -q '"MALLOC_ARENA_MAX": "1"' "$OUT/manifest.json"
}

@test "the environment of a measured process is what the manifest says, and no more" {
  printf '#!/bin/sh\n/usr/bin/env >"%s/env"\nexec "$@"\n' "$BATS_TEST_TMPDIR" >"$BATS_TEST_TMPDIR/dump"
  chmod +x "$BATS_TEST_TMPDIR/dump"
  MALLOC_ARENA_MAX=1 LEAKED=yes LD_PRELOAD='' LC_ALL=C run "$BENCH" --threads 1 --reps 1 --ops 1000 --workloads malloc-test \
    --allocators 'glibc[MALLOC_TOP_PAD_=65536]' --out "$OUT" --wrap "$BATS_TEST_TMPDIR/dump"
  [ "$status" -eq 0 ]
  cat "$BATS_TEST_TMPDIR/env"
  grep -qx 'MALLOC_ARENA_MAX=1' "$BATS_TEST_TMPDIR/env"
  grep -qx 'MALLOC_TOP_PAD_=65536' "$BATS_TEST_TMPDIR/env"
  [ "$(grep -cvE '^(PATH|HOME|LANG|PWD|OLDPWD|SHLVL|_|MALLOC_ARENA_MAX|MALLOC_TOP_PAD_|GLIBC_TUNABLES|HEAPDYNO_[A-Z]*|LD_LIBRARY_PATH|[A-Z]*SAN_OPTIONS)=' "$BATS_TEST_TMPDIR/env")" -eq 0 ]
}

@test "--wrap and variables set outside make another cell, have a column, and the latter a warning" {
  bench() { "$BENCH" --threads 1 --reps 1 --ops 1000 --workloads malloc-test --allocators glibc "$@"; }
  bench --out "$OUT"
  plain=$(column cell_id)
  [ -z "$(column wrap | tr -d '\n')$(column ambient | tr -d '\n')" ]
  OUT=$OUT.wrap
  bench --out "$OUT" --wrap 'nice -n 5'
  [ "$(column wrap | sort -u)" = 'nice -n 5' ]
  wrapped=$(column cell_id)
  OUT=$OUT.ambient
  MALLOC_TOP_PAD_=65536 MALLOC_ARENA_MAX=1 run bench --out "$OUT"
  [ "$status" -eq 0 ]
  [[ "$output" == *"warning: set outside, reaches every cell: MALLOC_ARENA_MAX=1;MALLOC_TOP_PAD_=65536"* ]]
  [ "$(column ambient | sort -u)" = 'MALLOC_ARENA_MAX=1;MALLOC_TOP_PAD_=65536' ]
  [ "$(printf '%s\n' "$plain" "$wrapped" "$(column cell_id)" | sort -u | wc -l)" -eq 6 ]
}

@test "kill -9 in mid-sweep: the child dies too, and --resume makes every cell there once" {
  own_programs
  start
  wait_rows 12
  kill -9 $PID
  wait $PID || true
  for _ in $(seq 50); do pgrep -f "$BUILD/cell" || break; sleep 0.1; done
  never pgrep -f "$BUILD/cell"
  rows=$(wc -l <"$OUT/samples.csv")
  cp "$OUT/samples.csv" "$BATS_TEST_TMPDIR/killed"
  run "$BENCH" --resume "$OUT"
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"cells are there already"* ]]
  every_cell_once
  [ "$(column run_id | sort -u | wc -l)" -eq 1 ]
  cmp <(head -n "$rows" "$OUT/samples.csv") <(head -n "$rows" "$BATS_TEST_TMPDIR/killed")
  # Once more: nothing is left to do.
  cp "$OUT/samples.csv" "$BATS_TEST_TMPDIR/before"
  run "$BENCH" --resume "$OUT"
  [ "$status" -eq 0 ]
  cmp "$OUT/samples.csv" "$BATS_TEST_TMPDIR/before"
}

@test "two runs never write into one folder" {
  start
  wait_rows 4
  refused "$OUT: another run-bench is writing here" --resume "$OUT"
  kill -9 $PID
  wait $PID || true
  "$BUILD/run-bench" --resume "$OUT" >"$BATS_TEST_TMPDIR/log" 2>&1 3>&- &
  PID=$!
  wait_rows "$(($(wc -l <"$OUT/samples.csv") + 2))"
  refused "$OUT: another run-bench is writing here" --resume "$OUT"
  wait $PID
  every_cell_once
}

@test "Ctrl-C ends cleanly, keeps what was measured and says how to go on" {
  own_programs
  start
  wait_rows 8
  kill -INT $PID
  code=0
  wait $PID || code=$?
  cat "$BATS_TEST_TMPDIR/log"
  [ "$code" -eq 130 ]
  grep -qF -- "--resume $OUT" "$BATS_TEST_TMPDIR/log"
  grep -q '"was_stopped": true' "$OUT/manifest.json"
  [ "$(column status | sort -u)" = ok ]
  never pgrep -f "$BUILD/cell"
  run "$BENCH" --resume "$OUT"
  [ "$status" -eq 0 ]
  every_cell_once
  grep -q '"was_stopped": false' "$OUT/manifest.json"
}

@test "SIGTERM is as good as Ctrl-C, also in a cell that hangs" {
  "$BUILD/run-bench" --threads 1 --reps 1 --workloads malloc-test --timeout 600 --out "$OUT" \
    --allocators "hang=$BUILD/fixtures/hang.so[FAULT_AFTER=30000]" >"$BATS_TEST_TMPDIR/log" 2>&1 3>&- &
  PID=$!
  wait_rows 1
  sleep 0.3
  kill -TERM $PID
  code=0
  wait $PID || code=$?
  [ "$code" -eq 130 ]
  [ "$(wc -l <"$OUT/samples.csv")" -eq 1 ]
}

@test "a torn last row is cut off and said" {
  start
  wait_rows 10
  kill -9 $PID
  wait $PID || true
  truncate -s -7 "$OUT/samples.csv"
  run "$BENCH" --resume "$OUT"
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"samples.csv ended in a torn row; its "*" bytes were cut off"* ]]
  every_cell_once
}

@test "a torn header is written again" {
  start
  wait_rows 2
  kill -9 $PID
  wait $PID || true
  head -c 20 "$OUT/samples.csv" >"$BATS_TEST_TMPDIR/torn"
  cp "$BATS_TEST_TMPDIR/torn" "$OUT/samples.csv"
  run "$BENCH" --resume "$OUT"
  [ "$status" -eq 0 ]
  every_cell_once
}

@test "a cell that is there twice is not resumed from" {
  run "$BENCH" --threads 1 --reps 1 --ops 1000 --workloads malloc-test --allocators glibc --out "$OUT"
  tail -1 "$OUT/samples.csv" >>"$OUT/samples.csv"
  run "$BENCH" --resume "$OUT"
  [ "$status" -eq 2 ]
  [[ "$output" == *"is there twice"* ]]
}

@test "another plan is not resumed" {
  run "$BENCH" --threads 1 --reps 1 --ops 1000 --workloads malloc-test --allocators glibc --out "$OUT"
  sed -i '2s/1000/2000/' "$OUT/plan.csv"
  run "$BENCH" --resume "$OUT"
  [ "$status" -eq 2 ]
  [[ "$output" == *"the plan made now differs"* ]]
}

@test "another environment is not resumed" {
  run "$BENCH" --threads 1 --reps 1 --ops 1000 --workloads malloc-test --allocators glibc --out "$OUT"
  MALLOC_ARENA_MAX=1 run "$BENCH" --resume "$OUT"
  [ "$status" -eq 2 ]
  [[ "$output" == *"environment variables that allocators read differ"* ]]
}

@test "another build is not resumed" {
  run "$BENCH" --threads 1 --reps 1 --ops 1000 --workloads malloc-test --allocators glibc --out "$OUT"
  [ "$status" -eq 0 ]
  mkdir "$BATS_TEST_TMPDIR/build"
  cp "$BUILD/run-bench" "$BUILD/cell" "$BATS_TEST_TMPDIR/build"
  run "$BATS_TEST_TMPDIR/build/run-bench" --resume "$OUT"
  [ "$status" -eq 0 ]
  printf x >>"$BATS_TEST_TMPDIR/build/cell"
  run "$BATS_TEST_TMPDIR/build/run-bench" --resume "$OUT"
  [ "$status" -eq 2 ]
  [[ "$output" == *"built anew since the run was started"* ]]
}

@test "a library that has changed is not resumed" {
  cp "$BUILD/fixtures/sound.so" "$BATS_TEST_TMPDIR/mine.so"
  run "$BENCH" --threads 1 --reps 1 --ops 1000 --workloads malloc-test --allocators "mine=$BATS_TEST_TMPDIR/mine.so" --out "$OUT"
  [ "$status" -eq 0 ]
  printf x >>"$BATS_TEST_TMPDIR/mine.so"
  run "$BENCH" --resume "$OUT"
  [ "$status" -eq 2 ]
  [[ "$output" == *"the library of mine is another one than in manifest.json"* ]]
}

@test "a library replaced in mid-run is another one: unproven, with its own digest" {
  cp "$BUILD/fixtures/sound.so" "$BATS_TEST_TMPDIR/mine.so"
  "$BUILD/run-bench" --threads 1 --reps 3 --duration 500ms --workloads malloc-test \
    --allocators "mine=$BATS_TEST_TMPDIR/mine.so" --out "$OUT" >"$BATS_TEST_TMPDIR/log" 2>&1 3>&- &
  PID=$!
  wait_rows 3
  cp "$BUILD/fixtures/sound.so" "$BATS_TEST_TMPDIR/other.so"
  printf x >>"$BATS_TEST_TMPDIR/other.so"
  mv "$BATS_TEST_TMPDIR/other.so" "$BATS_TEST_TMPDIR/mine.so"
  code=0
  wait $PID || code=$?
  cat "$BATS_TEST_TMPDIR/log"
  [ "$code" -eq 4 ]
  [ "$(column status | sort -u)" = $'ok\nunproven' ]
  column why | grep -qF "mine.so is another library than when the run started"
  column library_sha256 | grep -qx "$(sha256sum <"$BATS_TEST_TMPDIR/mine.so" | cut -d' ' -f1)"
  no_numbers
}

@test "relative paths are resumed where the run was started" {
  cp "$BUILD/fixtures/sound.so" "$BATS_TEST_TMPDIR/mine.so"
  cd "$BATS_TEST_TMPDIR"
  run "$BENCH" --threads 1 --reps 1 --ops 1000 --workloads malloc-test --allocators mine=./mine.so --out out
  echo "$output"
  [ "$status" -eq 0 ]
  head -2 out/samples.csv >half
  cp half out/samples.csv
  cd /
  run "$BENCH" --resume "$OUT"
  echo "$output"
  [ "$status" -eq 0 ]
  every_cell_once
}

# Threads of larson live for a tenth of a millisecond: nearly all that they wait for another load, they wait at their birth.
@test "a load beside threads that are born all the time is seen in run_delay_ns" {
  share() { # OUT: of the thread's time, waited
    OUT=$1 rows pass run_delay_ns wall_ns | awk '$1 == "timed" { print $2 / $3 }'
  }
  local cpu loads=()
  for cpu in $(seq 0 $(($(nproc) - 1))); do
    taskset -c "$cpu" timeout 60 sh -c 'while :; do :; done' 3>&- &
    loads+=($!)
  done
  "$BENCH" --threads 1 --reps 1 --duration 0.2 --workloads larson --allocators glibc --out "$OUT"
  kill "${loads[@]}"
  run share "$OUT"
  echo "$output"
  awk -v s="$output" 'BEGIN { exit !(s > 0.2 && s <= 1) }'
}

@test "a full disk: the file and the error are named, exit 4, whole rows are kept, --resume completes" {
  run bash -c "ulimit -f 48; '$BENCH' --threads 1,2 --reps 12 --ops 1000 --workloads malloc-test,larson --allocators glibc,jemalloc --out '$OUT'"
  echo "$output"
  [ "$status" -eq 4 ]
  [[ "$output" == *"cannot write $OUT/samples.csv: File too large; what was written before is kept"* ]]
  [ "$(tail -c 1 "$OUT/samples.csv" | od -An -c | tr -d ' ')" = '\n' ]
  run "$BENCH" --resume "$OUT"
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" != *"torn row"* ]]
  every_cell_once
}

@test "without --out a run has a folder of its own below results" {
  mkdir -p "$BATS_TEST_TMPDIR/tree/results"
  HEAPDYNO_ROOT=$BATS_TEST_TMPDIR/tree
  export HEAPDYNO_ROOT
  "$BENCH" --threads 1 --reps 1 --ops 1000 --workloads malloc-test --allocators glibc || true
  "$BENCH" --threads 1 --reps 1 --ops 1000 --workloads malloc-test --allocators glibc || true
  [ "$(find "$BATS_TEST_TMPDIR/tree/results" -name samples.csv | wc -l)" -eq 2 ]
  find "$BATS_TEST_TMPDIR/tree/results" -mindepth 1 -maxdepth 1 -name '20[0-9][0-9][0-9][0-9][0-9][0-9]-[0-9][0-9][0-9][0-9][0-9][0-9]*' | grep -q .
}

@test "a summary that cannot be made is said and is not success" {
  mkdir -p "$BATS_TEST_TMPDIR/tree"
  HEAPDYNO_ROOT=$BATS_TEST_TMPDIR/tree run "$BENCH" --threads 1 --reps 1 --ops 1000 --workloads malloc-test --allocators glibc --out "$OUT"
  [ "$status" -eq 4 ]
  [[ "$output" == *"no summary: "* ]]
  every_cell_once
}

@test "on a terminal there is one line that moves, with what is left" {
  command -v script >/dev/null || skip "script(1) is not installed"
  run script -qec "'$BENCH' --threads 1 --reps 1 --ops 1000 --workloads malloc-test --allocators glibc --out '$OUT'" /dev/null
  [ "$status" -eq 0 ]
  [[ "$output" == *"] 1/2, "*" left  malloc-test, glibc, 1 thread, timed 1"* ]]
}
