#!/usr/bin/env bats
# A plan made elsewhere: --print-plan, --plan FILE, --plan -.
load driver

setup_file() { common_build; }
setup() {
  common_setup
  PLAN=$BATS_TEST_TMPDIR/plan.csv
  "$BENCH" --print-plan --allocators 'glibc,x=/lib/x86_64-linux-gnu/libc.so.6[MALLOC_ARENA_MAX=1]' --workloads malloc-test \
    --threads 1,2 --reps 1 --ops 2000 >"$PLAN"
}

# plan_refused MESSAGE SED: exit code 2, with these words, when the plan's second row is changed so.
plan_refused() {
  sed -E "3$2" "$PLAN" >"$PLAN.changed"
  never cmp -s "$PLAN" "$PLAN.changed"
  run "$BENCH" --plan "$PLAN.changed" --out "$OUT"
  echo "$output"
  [ "$status" -eq 2 ]
  [[ "$output" == *"line 3: $1"* ]]
}

@test "a printed plan is run as it stands, and written again byte for byte" {
  run "$BENCH" --plan "$PLAN" --out "$OUT"
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"8 of 8 cells: 8 ok"* ]]
  cmp "$PLAN" "$OUT/plan.csv"
  for name in cell_id pass allocator config threads block slot repetition seed ops_target; do
    diff <(column $name "$PLAN") <(column $name)
  done
  [ "$(python3 -c 'import json, sys; print(*[a["name"] for a in json.load(open(sys.argv[1]))["allocators"]])' \
    "$OUT/manifest.json" | tr ' ' '\n' | sort | xargs)" = "glibc x" ]
}

@test "from standard input, each row is run and written before the next is asked for" {
  mkfifo "$BATS_TEST_TMPDIR/in"
  "$BENCH" --plan - --out "$OUT" <"$BATS_TEST_TMPDIR/in" >/dev/null 2>&1 &
  exec 7>"$BATS_TEST_TMPDIR/in"
  head -2 "$PLAN" >&7
  for _ in $(seq 200); do
    [ -f "$OUT/samples.csv" ] && [ "$(wc -l <"$OUT/samples.csv")" -eq 2 ] && break
    sleep 0.1
  done
  [ "$(wc -l <"$OUT/samples.csv")" -eq 2 ]
  sed -n 4p "$PLAN" >&7
  exec 7>&-
  wait $!
  [ "$(wc -l <"$OUT/samples.csv")" -eq 3 ]
}

@test "what was measured before a bad row is kept" {
  plan_refused "pass 'probe': allowed are timed, audit" 's/,audit,/,probe,/'
  [ "$(wc -l <"$OUT/samples.csv")" -eq 2 ]
}

@test "an unknown workload" { plan_refused "unknown workload 'no-test'; workloads are " 's/malloc-test/no-test/'; }
@test "another version of a workload" { plan_refused "malloc-test is of version" 's/malloc-test,[0-9]+/malloc-test,99/'; }
@test "an unknown parameter" { plan_refused "malloc-test has no parameter 'size'" 's/size_bytes=/size=/'; }
@test "a parameter that is missing" { plan_refused "params: size_bytes of malloc-test is not given" 's/size_bytes=[0-9]+//'; }
@test "a row that is another cell than it says" { plan_refused "cell_id is " 's/size_bytes=[0-9]+/size_bytes=24/'; }
@test "an unknown allocator" { plan_refused "unknown allocator 'y'" 's/,(glibc|x),[^,]*,/,y,,/'; }
@test "a library that is not there" { plan_refused "y: cannot find the library '/no.so'" 's/,(glibc|x),[^,]*,/,y,\/no.so,/'; }
@test "an audit with a time" { plan_refused "a cell of pass audit is ended by ops_target" 's/,2000$//; 3s/,$/,1000,/'; }
@test "a cell without an end" { plan_refused "one of duration_ns and ops_target" 's/,2000$/,/'; }
@test "a row with a field too many" { plan_refused "22 fields, the header has 21" 's/$/,/'; }
@test "threads beyond the limit" { plan_refused "threads '9999': allowed is a whole number from 1 to 1024" 's/,[12],cores/,9999,cores/'; }

@test "a row whose end is missing is not run" {
  head -c -1 "$PLAN" | head -3 | head -c -5 >"$PLAN.torn"
  run "$BENCH" --plan "$PLAN.torn" --out "$OUT"
  echo "$output"
  [ "$status" -eq 2 ]
  [[ "$output" == *"line 3: the line, or a quoted field in it, does not end"* ]]
  [ "$(wc -l <"$OUT/samples.csv")" -eq 2 ]
}

@test "a plan says itself what is measured" {
  refused "--plan and --threads exclude each other" --plan "$PLAN" --threads 2
  refused "there is no header" --plan /dev/null
  refused "No such file" --plan "$BATS_TEST_TMPDIR/none"
  refused "the column pass is missing" --plan <(echo allocator,library)
}

@test "a run of --plan that was cut short is resumed from its file" {
  "$BENCH" --plan "$PLAN" --out "$OUT" >/dev/null 2>&1
  cp "$OUT/samples.csv" "$BATS_TEST_TMPDIR/whole"
  head -4 "$BATS_TEST_TMPDIR/whole" | head -c -40 >"$OUT/samples.csv"
  local n
  n=$(wc -l <"$OUT/samples.csv")
  [ "$n" -gt 1 ]
  [ "$n" -lt 9 ]
  run "$BENCH" --resume "$OUT"
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"ended in a torn row"*"$((n - 1)) cells are there already"*"8 of 8 cells: 8 ok"* ]]
  cmp "$PLAN" "$OUT/plan.csv"
  cmp <(head -"$n" "$BATS_TEST_TMPDIR/whole") <(head -"$n" "$OUT/samples.csv")
  diff <(column cell_id "$PLAN") <(column cell_id)
}

@test "a run of --plan - is resumed by the same rows from the beginning, and by no others" {
  head -4 "$PLAN" | "$BENCH" --plan - --out "$OUT" >/dev/null 2>&1
  "$BENCH" --resume "$OUT" <"$PLAN"
  cmp "$PLAN" "$OUT/plan.csv"
  [ "$(wc -l <"$OUT/samples.csv")" -eq 9 ]
  run "$BENCH" --resume "$OUT" < <(sed 2d "$PLAN")
  echo "$output"
  [ "$status" -eq 2 ]
  [[ "$output" == *"row 2 is repetition 1 of cell"*"it is not the plan this run was started with"* ]]
  [ "$(wc -l <"$OUT/samples.csv")" -eq 9 ]
}

@test "an audit that failed before the interruption is known after it" {
  "$BENCH" --print-plan --allocators "x=$BUILD/fixtures/crash.so" --workloads malloc-test --threads 1 --reps 1 --ops 2000 >"$PLAN"
  head -2 "$PLAN" | "$BENCH" --plan - --out "$OUT" >/dev/null 2>&1 || true
  "$BENCH" --resume "$OUT" <"$PLAN" || true
  [ "$(column status | xargs)" = "crash unproven" ]
}
