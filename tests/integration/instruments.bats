#!/usr/bin/env bats
# Instructions, counters, memory policies: what is measured besides time.
# shellcheck disable=SC2154 # status and output are set by bats

setup_file() {
  load driver
  common_build
}

setup() {
  load driver
  common_setup
}

quick() {
  "$BENCH" --out "$OUT" --threads 1 --reps 1 --ops 20000 "$@"
}

needs_valgrind() {
  command -v valgrind >/dev/null || skip "no valgrind"
  [ "$BUILD" = "$ROOT/build" ] || skip "counts are of the release build"
}

@test "callgrind: floor costs its own three instructions a pair, in each order" {
  needs_valgrind
  quick --workloads pair,pair@fifo,pair@reversed --allocators floor --instructions callgrind
  every_cell_once
  run rows pass status ops alloc_instructions
  echo "$output"
  [ "$(grep -c '^instructions ok 20000 60000$' <<<"$output")" -eq 3 ]
}

@test "callgrind: twice the operations, twice the instructions, to a thousandth" {
  needs_valgrind
  # Enough that what an allocator does once in a run, or once more or less in a megabyte or by the clock, is far below a
  # thousandth: arena takes some 4000 instructions to begin with.
  quick --workloads pair,pair@fifo --allocators glibc,arena --instructions callgrind --ops 400000
  rows pass allocator params alloc_instructions | grep ^instructions | sort >"$BATS_TEST_TMPDIR/once"
  OUT=$OUT.2 quick --workloads pair,pair@fifo --allocators glibc,arena --instructions callgrind --ops 800000
  OUT=$OUT.2 rows pass allocator params alloc_instructions | grep ^instructions | sort >"$BATS_TEST_TMPDIR/twice"
  paste -d' ' "$BATS_TEST_TMPDIR/once" "$BATS_TEST_TMPDIR/twice"
  paste -d' ' "$BATS_TEST_TMPDIR/once" "$BATS_TEST_TMPDIR/twice" |
    awk '{ d = $8 / (2 * $4) - 1; if (d < 0) d = -d; n += d < 0.001 && $4 > 0 } END { exit n != 4 }'
}

@test "callgrind: rows hold nothing that valgrind made up, and cells with threads are not planned" {
  needs_valgrind
  quick --threads 1,2 --workloads pair --allocators glibc --instructions callgrind
  run rows pass threads status wall_ns user_ns minflt peak_rss_bytes ops_per_s
  echo "$output"
  grep -q '^instructions 1 ok *$' <<<"$output"
  [ "$(grep -c '^instructions 2' <<<"$output")" -eq 0 ]
  gone /tmp/heapdyno-callgrind.*
}

@test "callgrind: an allocator that valgrind cannot run is skipped with the reason" {
  needs_valgrind
  "$BENCH" --list | grep -q '^ *scudo .*not' && skip "no scudo"
  quick --workloads pair --allocators scudo --instructions callgrind
  run rows pass status why
  echo "$output"
  grep -q '^audit ok' <<<"$output"
  grep -Eq '^instructions (ok|skip does not run under callgrind: )' <<<"$output"
}

@test "callgrind and --wrap exclude each other; without valgrind nothing is measured" {
  refused "exclude each other" --instructions callgrind --wrap 'nice -n 5' --out "$OUT"
  refused "allowed are callgrind, perf" --instructions strace --out "$OUT"
  mkdir "$BATS_TEST_TMPDIR/bin"
  PATH=$BATS_TEST_TMPDIR/bin refused "valgrind cannot be run" --instructions callgrind --out "$OUT"
  [ ! -e "$OUT" ]
}

needs_strace() {
  strace -o /dev/null true 2>/dev/null || skip "no strace that may trace"
}

@test "syscalls: none for a pair from a thread's own list, by name for large blocks, in a pass of its own" {
  needs_strace
  "$BENCH" --out "$OUT" --threads 1,2 --reps 1 --audit-only --syscalls --workloads malloc-test,malloc-large \
    --allocators glibc,null
  every_cell_once
  run rows pass workload allocator threads status syscalls sys_mmap sys_munmap minflt peak_rss_bytes
  echo "$output"
  for n in 1 2; do
    grep -q "^syscalls malloc-test glibc $n ok 0 0 0 *$" <<<"$output"
    grep -q "^syscalls malloc-test null $n ok 0 0 0 *$" <<<"$output"
  done
  # a replacement of 5 to 25 MiB is beyond glibc's greatest threshold for mmap but for the smallest blocks
  grep '^syscalls malloc-large glibc' <<<"$output" | awk '$6 >= $7 + $8 && $7 > 0 && $8 > 0 { n++ } END { exit n != 2 }'
  grep '^audit' <<<"$output" | awk '$9 != "" && NF == 7 { n++ } NF > 7 { bad = 1 } END { exit bad }'
  gone /tmp/heapdyno-strace.*
}

@test "syscalls: threads that are born in the measured phase count with their making" {
  needs_strace
  "$BENCH" --out "$OUT" --threads 2 --reps 1 --audit-only --syscalls --workloads thread-churn --allocators glibc \
    --ops 20000
  run rows pass generations syscalls sys_madvise
  echo "$output"
  # libc gives back the stack of each thread that ends
  grep '^syscalls' <<<"$output" | awk '$2 >= 9 && $3 > 2 * $4 && $4 >= 18 { n++ } END { exit n != 1 }'
}

@test "syscalls: without strace nothing is measured, and nothing goes between it and the cell" {
  refused "exclude each other: strace is a wrap" --syscalls --wrap 'nice -n 5' --out "$OUT"
  mkdir "$BATS_TEST_TMPDIR/bin"
  PATH=$BATS_TEST_TMPDIR/bin refused "strace cannot be run; the Debian package that brings it is strace" \
    --syscalls --out "$OUT"
  printf '#!/bin/sh\nexit 1\n' >"$BATS_TEST_TMPDIR/bin/strace"
  chmod +x "$BATS_TEST_TMPDIR/bin/strace"
  PATH=$BATS_TEST_TMPDIR/bin refused "strace may not trace here" --syscalls --out "$OUT"
  [ ! -e "$OUT" ]
}

@test "syscalls and sharing: an interrupted run is gone on with" {
  needs_strace
  "$BENCH" --out "$OUT" --threads 2 --reps 1 --audit-only --syscalls --sharing --workloads pair --allocators glibc \
    --ops 5000
  cp "$OUT/samples.csv" "$BATS_TEST_TMPDIR/whole"
  head -n 2 "$BATS_TEST_TMPDIR/whole" >"$OUT/samples.csv"
  "$BENCH" --resume "$OUT"
  every_cell_once
  [ "$(column pass | sort | paste -sd' ')" = "audit sharing syscalls" ]
  [ "$(column status | sort -u)" = ok ]
}

@test "sharing: arena keeps the lines of eight threads apart, and null, which does not, is seen" {
  quick --audit-only --sharing --threads 1,8 --ops 40000 --allocators arena,null \
    --workloads false-sharing-active,false-sharing-passive
  run rows pass allocator workload threads status shared_line_fraction passive_line_fraction peak_rss_bytes why
  echo "$output"
  grep -q '^sharing arena false-sharing-active 8 ok 0 0 *$' <<<"$output"
  grep '^sharing null false-sharing-passive 8 ok' <<<"$output" |
    awk '$6 > 0.5 && $7 > 0.5 && $7 <= $6 && NF == 7 { n++ } END { exit n != 1 }'
  [ "$(grep -c '^sharing' <<<"$output")" -eq 4 ]
  [ "$(grep -c '^sharing [^ ]* [^ ]* 1 ' <<<"$output")" -eq 0 ]
}

@test "sharing: a floor, which has one block for all, is skipped" {
  quick --audit-only --sharing --threads 2 --allocators floor --workloads pair
  run rows pass status why
  echo "$output"
  grep -q '^sharing skip a floor gives one block to all threads$' <<<"$output"
}

@test "audit-only: no timed cells, and no options for them" {
  quick --audit-only --workloads malloc-test --allocators glibc
  [ "$(column pass)" = audit ]
  refused "exclude each other: audits end by operations" --audit-only --duration 1 --out "$OUT.2"
  refused "perf reads counters in the timed pass" --audit-only --instructions perf --out "$OUT.2"
  [ ! -e "$OUT.2" ]
}

@test "perf: rows are there without counters, which is said once" {
  run quick --workloads pair --allocators glibc,null --instructions perf
  echo "$output"
  [ "$status" -eq 0 ]
  n_said=$(grep -c 'counters cannot be read' <<<"$output" || true)
  filled=$(rows pass instructions | grep -c '^timed [1-9]' || true)
  [ "$n_said/$filled" = 1/0 ] || [ "$n_said/$filled" = 0/2 ]
}

@test "membind: in the row, in the identity, and refused where the node is not there" {
  quick --workloads malloc-test --allocators glibc --membind 0
  [ "$(column membind | sort -u)" = 0 ]
  OUT=$OUT.2 quick --workloads malloc-test --allocators glibc --membind interleave
  [ "$(OUT=$OUT.2 column membind "$OUT.2/samples.csv" | sort -u)" = interleave ]
  [ "$(column cell_id | sort)" != "$(column cell_id "$OUT.2/samples.csv" | sort)" ]
  refused "no NUMA node of that number" --membind 4095 --out "$OUT.3"
  refused "allowed are first-touch" --membind everywhere --out "$OUT.3"
  [ ! -e "$OUT.3" ]
  if [ "$(find /sys/devices/system/node -maxdepth 1 -name 'node[0-9]*' | wc -l)" -le 1 ]; then
    [ -z "$(column on_node_fraction | tr -d '\n')" ]
  else
    column on_node_fraction | awk '$1 < 0.9 { bad = 1 } END { exit bad }'
  fi
}

@test "membind: the policy is that of the measured process" {
  cat >"$BATS_TEST_TMPDIR/show" <<'SHOW'
#!/bin/sh
cat /proc/self/numa_maps >>"$0.seen"
exec "$@"
SHOW
  chmod +x "$BATS_TEST_TMPDIR/show"
  [ -r /proc/self/numa_maps ] || skip "no numa_maps"
  quick --workloads malloc-test --allocators glibc --membind interleave --wrap "$BATS_TEST_TMPDIR/show"
  grep -q ' interleave:0' "$BATS_TEST_TMPDIR/show.seen"
}

@test "faults are those of the measured phase; the peak is never below what is retained" {
  quick --workloads pair,pair@fifo --allocators glibc,arena,null --ops 1000000
  rows pass allocator minflt peak_rss_bytes end_rss_bytes retained_rss_bytes start_rss_bytes
  rows pass minflt | awk '$1 == "timed" && $2 >= 1000 { bad = 1 } END { exit bad }'
  rows peak_rss_bytes end_rss_bytes retained_rss_bytes start_rss_bytes |
    awk '$1 < $2 || $1 < $3 || $1 < $4 { bad = 1 } END { exit bad }'
}
