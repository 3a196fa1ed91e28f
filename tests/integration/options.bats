#!/usr/bin/env bats
# The command line: what is refused, with which words; what only looks.

load driver

setup_file() {
  common_build
}

setup() {
  common_setup
}

@test "--threads 0 is refused" { refused "--threads 0: '0' threads: allowed are 1 to 1024" --threads 0; }
@test "--threads 4..1 is refused" { refused "--threads 4..1: the range 4..1 runs backwards" --threads 4..1; }
@test "--threads x is refused" { refused "--threads x: 'x' is not a number of threads" --threads x; }
@test "a parameter out of range is refused" {
  refused "--param larson.min_bytes=-1: '-1': allowed is a whole number from" --param larson.min_bytes=-1
}
@test "a parameter that is no number is refused" { refused "allowed is a whole number" --param larson.min_bytes=1k; }
@test "an unknown parameter is refused with the known" {
  refused "larson has no parameter 'size'; it has: min_bytes" --param larson.size=3
}
@test "a parameter of an unselected workload is refused" {
  refused "larson is not among the workloads of this run" --workloads malloc-test --param larson.min_bytes=8
}
@test "parameters that do not go together are refused before anything is measured" {
  refused "the parameters do not go together: larson: min_bytes must be below max_bytes" --quick --workloads larson \
    --allocators glibc --param larson.min_bytes=2000 --out "$OUT"
  [ ! -e "$OUT" ]
}
@test "a malformed --param is refused" { refused "write WORKLOAD.NAME=VALUE" --param larson; }
@test "an unknown workload is refused with the known" {
  refused "--workloads nosuch: unknown workload or group 'nosuch'; workloads are malloc-test, larson" --workloads nosuch
}
@test "an unknown parameter set is refused" { refused "has no parameter set 'nosuch'" --workloads larson@nosuch; }
@test "an unknown allocator is refused with the known" {
  refused "--allocators nosuch: unknown allocator 'nosuch'; known are arena, glibc, jemalloc" --allocators nosuch
}
@test "a library that is not there is refused" {
  refused "--allocators x=/nonexistent.so: x: cannot find the library '/nonexistent.so'" --allocators x=/nonexistent.so
}
@test "who wrote nearly a name is told which" {
  refused "unknown workload or group 'larsn' (did you mean larson?); workloads are" --workloads larsn
  refused "unknown workload or group 'memroy' (did you mean memory?)" --workloads memroy
  refused "unknown workload 'larsn' (did you mean larson?)" --workloads larsn@paper
  refused "larson has no parameter set 'papr' (did you mean paper?); it has: larson@" --workloads larson@papr
  refused "larson has no parameter 'min_byte' (did you mean min_bytes?); it has:" --param larson.min_byte=3
  refused "unknown workload 'larsn' (did you mean larson?)" --param larsn.min_bytes=3
  refused "unknown allocator 'jemaloc' (did you mean jemalloc?); known are" --allocators jemaloc
  refused "--placement core: allowed are cores, compact, scatter, none (did you mean cores?)" --placement core
  refused "--load dlopn: allowed are dlopen, preload (did you mean dlopen?)" --load dlopn
  refused "--membind interleaved: allowed are first-touch, interleave, or the number of a NUMA node (did you mean" \
    --membind interleaved
  refused "'comapre': neither an option nor a command (did you mean compare?)" comapre
}
@test "an interval of --rss without a unit is refused, for a second is seldom meant" {
  refused "--rss 5: which unit? 5ms or 5s" --rss=5
  refused "--rss 0.5: which unit? 0.5ms or 0.5s" --rss=0.5
  refused "--rss 5x: allowed are off, or a time from 1ms" --rss=5x
}
@test "a pass that none of the thread counts fits is refused" {
  refused "--sharing needs a thread count above 1 in --threads" --sharing --threads 1
  refused "--instructions callgrind counts with one thread: 1 must be in --threads" --instructions callgrind --threads 2..4
}
@test "an unknown option is refused" { refused "unrecognized option '--nosuch'" --nosuch; }
@test "an argument is refused" { refused "'larson': neither an option nor a command" larson; }
@test "an option without its value is refused" { refused "option '--threads' requires an argument" --threads; }
@test "--reps 0 is refused" { refused "--reps 0: allowed is a whole number from 1" --reps 0; }
@test "--duration -1 is refused" { refused "--duration -1: allowed is a time above 0" --duration -1; }
@test "--timeout 0 is refused" { refused "--timeout 0: allowed is a time above 0" --timeout 0; }
@test "--ops 0 is refused" { refused "--ops 0: allowed is a whole number" --ops 0; }
@test "--seed x is refused" { refused "--seed x: allowed is a whole number" --seed x; }
@test "--placement x is refused" { refused "--placement x: allowed are cores, compact, scatter, none" --placement x; }
@test "--load x is refused" { refused "--load x: allowed are dlopen, preload" --load x; }
@test "--ops and --duration exclude each other" { refused "--ops and --duration exclude each other" --ops 9 --duration 1; }
@test "--resume stands alone" { refused "--resume stands alone" --resume /tmp --reps 2; }
@test "--list and --dry-run exclude each other" { refused "only one of --list" --list --dry-run; }

@test "an --out that cannot be made is refused" {
  refused "--out /proc/nosuch/run: cannot make or write this folder" --quick --allocators glibc --out /proc/nosuch/run
}

@test "an --out that is a file is refused" {
  touch "$OUT"
  refused "--out $OUT: cannot make or write this folder: Not a directory" --quick --allocators glibc --out "$OUT"
}

@test "an --out that is not empty is refused and left alone" {
  mkdir "$OUT"
  echo precious >"$OUT/file"
  refused "the folder is not empty; --resume goes on with a run" --quick --allocators glibc --out "$OUT"
  [ "$(ls "$OUT")" = file ]
}

@test "--resume of what is no run is refused" {
  refused "--resume $BATS_TEST_TMPDIR: this is not a run folder" --resume "$BATS_TEST_TMPDIR"
  refused "--resume /nonexistent: /nonexistent: No such file" --resume /nonexistent
}

@test "an allocator that cannot be loaded is refused when named, with its package" {
  mkdir "$BATS_TEST_TMPDIR/lib"
  echo broken >"$BATS_TEST_TMPDIR/lib/libjemalloc.so.2"
  export LD_LIBRARY_PATH=$BATS_TEST_TMPDIR/lib
  refused "--allocators jemalloc: not available" --quick --allocators jemalloc --out "$OUT"
  [[ "$output" == *"the Debian package that brings it is libjemalloc2"* ]]
  [ ! -e "$OUT" ]
}

@test "an allocator that cannot be loaded is skipped in a sweep that names none" {
  mkdir "$BATS_TEST_TMPDIR/lib"
  echo broken >"$BATS_TEST_TMPDIR/lib/libjemalloc.so.2"
  export LD_LIBRARY_PATH=$BATS_TEST_TMPDIR/lib
  run "$BENCH" --threads 1 --reps 1 --ops 1000 --workloads malloc-test --out "$OUT"
  [ "$status" -eq 0 ]
  [[ "$output" == *"run-bench: jemalloc is skipped: "* ]]
  rows allocator status | grep -qx 'jemalloc skip'
  rows allocator status | grep -qx 'glibc ok'
}

@test "a floor is not preloaded" {
  refused "--load preload: floor is a floor that no whole process can run on" --load preload --allocators glibc,floor
}

@test "the launcher says run make first" {
  HEAPDYNO_BUILD=$BATS_TEST_TMPDIR run "$BENCH"
  [ "$status" -eq 2 ]
  [[ "$output" == *"run make first"* ]]
}

@test "the launcher works from anywhere and through a link" {
  ln -s "$BENCH" "$BATS_TEST_TMPDIR/bench"
  cd /
  run "$BATS_TEST_TMPDIR/bench" --version
  [ "$status" -eq 0 ]
  [[ "$output" == "run-bench "* ]]
}

@test "--help fits 80 columns and names every option" {
  run "$BENCH" --help
  [ "$status" -eq 0 ]
  [ -z "$(awk 'length($0) > 80' <<<"$output")" ]
  for option in threads allocators workloads param reps duration ops seed placement load timeout out resume quick \
    list dry-run wrap columns version; do
    [[ "$output" == *"--$option"* ]]
  done
}

@test "results/columns.md is what --columns prints" {
  diff "$ROOT/results/columns.md" <("$BENCH" --columns)
}

@test "--dry-run measures nothing and estimates the time" {
  run "$BENCH" --dry-run --threads 1..4 --allocators glibc --workloads larson --reps 1 --out "$OUT"
  [ "$status" -eq 0 ]
  [ ! -e "$OUT" ]
  [[ "${lines[-1]}" == "6 cells, about "* ]]
  [ "$(grep -cE '^ +[0-9]+  [0-9a-f]{12}  (audit|timed) ' <<<"$output")" -eq 6 ]
}

@test "--list tells what was found, what is missing, and every parameter" {
  run "$BENCH" --list
  [ "$status" -eq 0 ]
  [[ "$output" == *"* glibc"*"libc.so.6"* ]]
  [[ "$output" == *"--param larson.min_bytes="* ]]
  [[ "$output" == *"Larson and Krishnan 1998"* ]]
  mkdir "$BATS_TEST_TMPDIR/lib"
  echo broken >"$BATS_TEST_TMPDIR/lib/libjemalloc.so.2"
  LD_LIBRARY_PATH=$BATS_TEST_TMPDIR/lib run "$BENCH" --list
  [ "$status" -eq 0 ]
  [[ "$output" == *"brought by: apt-get install libjemalloc2"* ]]
}

@test "output that cannot be written is an error" {
  run bash -c "'$BENCH' --columns >/dev/full"
  [ "$status" -eq 4 ]
  [[ "$output" == *"cannot write to standard output"* ]]
}

@test "a reader who leaves early takes nothing from the exit code of a run" {
  run bash -c "set -o pipefail; '$BENCH' --threads 1 --reps 1 --duration 0.02 --workloads larson \
    --allocators glibc --out '$OUT' | head -c 1"
  [ "$status" -eq 0 ]
  [ -s "$OUT/summary.csv" ]
}
