#!/usr/bin/env bats
# Allocators and measured processes that fail: each gets its row and its status, and the sweep goes on.

load driver

setup_file() {
  common_build
}

setup() {
  common_setup
}

# with_fault STATUS WORDS NAME[CONFIG]: audit row with the status, timed row unproven, glibc beside it ok, exit 4.
with_fault() {
  local label=$3
  run "$BENCH" --threads 2 --reps 1 --duration 50ms --timeout 3 --workloads malloc-test --out "$OUT" \
    --allocators "glibc,${label/[/=$BUILD/fixtures/${label%%[*}.so[}"
  echo "$output"
  [ "$status" -eq 4 ]
  rows allocator pass status | sort >"$BATS_TEST_TMPDIR/rows"
  cat "$BATS_TEST_TMPDIR/rows"
  grep -qx "${label%%[*} audit $1" "$BATS_TEST_TMPDIR/rows"
  grep -qx "${label%%[*} timed unproven" "$BATS_TEST_TMPDIR/rows"
  grep -qx "glibc audit ok" "$BATS_TEST_TMPDIR/rows"
  grep -qx "glibc timed ok" "$BATS_TEST_TMPDIR/rows"
  column why | grep -qF "$2"
  no_numbers
  every_cell_once
}

# late_fault WORKLOAD: heaps that work through proof and set-up and then die, hang or run out.
late_fault() {
  local name expected
  local fixtures=$BUILD/fixtures
  run "$BENCH" --threads 2 --reps 1 --duration 50ms --timeout 3 --workloads "$1" --out "$OUT" --allocators \
    "glibc,crash=$fixtures/crash.so[FAULT_AFTER=60000],hang=$fixtures/hang.so[FAULT_AFTER=60000],exhausted=$fixtures/exhausted.so[FAULT_AFTER=60000]"
  echo "$output"
  [ "$status" -eq 4 ]
  rows allocator pass status | sort >"$BATS_TEST_TMPDIR/rows"
  cat "$BATS_TEST_TMPDIR/rows"
  for expected in "crash audit crash" "hang audit timeout" "exhausted audit oom" "glibc audit ok" "glibc timed ok"; do
    grep -qx "$expected" "$BATS_TEST_TMPDIR/rows"
  done
  [ "$(rows allocator pass status | grep -c ' timed unproven')" -eq 3 ]
  no_numbers
  every_cell_once
}

@test "crash at once" { with_fault crash "signal 11 (Segmentation fault) while loading" "crash[FAULT_AFTER=0]"; }
@test "crash in the run" { with_fault crash "signal 11" "crash[FAULT_AFTER=30000]"; }
@test "hang at once" { with_fault timeout "no answer in time while loading" "hang[FAULT_AFTER=0]"; }
@test "hang in the run" { with_fault timeout "no answer in time" "hang[FAULT_AFTER=30000]"; }
@test "NULL at once" { with_fault unproven "malloc returned NULL" "exhausted[FAULT_AFTER=0]"; }
@test "NULL in the run" { with_fault oom "" "exhausted[FAULT_AFTER=30000]"; }
@test "late failures under larson" { late_fault larson; }
@test "late failures under prodcons" { late_fault prodcons; }
@test "overlapping blocks" { with_fault unproven "overlap" "overlap[FAULT_AFTER=0]"; }
@test "lost writes" { with_fault unproven "changed" "corrupt[FAULT_AFTER=0]"; }
@test "libc behind another name" { with_fault unproven "libc" "forward[FAULT_AFTER=0]"; }

@test "a library without free is refused before anything is measured" {
  refused "--allocators no_free=$BUILD/fixtures/no_free.so: cannot be used: free is not in" --threads 1 --reps 1 \
    --ops 1000 --workloads malloc-test --out "$OUT" --allocators "no_free=$BUILD/fixtures/no_free.so,glibc"
  [ ! -e "$OUT" ]
}

@test "a run that measured nothing has failed" {
  run "$BENCH" --threads 1 --reps 1 --ops 1000 --workloads larson --out "$OUT" --allocators floor
  echo "$output"
  [ "$status" -eq 4 ]
  [[ $output == *"nothing was measured"* ]]
}

@test "what is not what it says is unproven" {
  run "$BENCH" --threads 1 --reps 1 --ops 1000 --workloads malloc-test --out "$OUT" \
    --allocators "jemalloc=$BUILD/fixtures/impostor.so"
  [ "$status" -eq 4 ]
  [ "$(column status | sort -u)" = unproven ]
  no_numbers
}

@test "a file that is no library is refused by every command that measures" {
  local text=$BATS_TEST_TMPDIR/text.so words=": cannot be used: cannot be loaded"
  echo text >"$text"
  refused "$words" --threads 1 --workloads malloc-test --out "$OUT" --allocators "glibc,text=$text"
  refused "$words" --load preload --threads 1 --workloads malloc-test --out "$OUT" --allocators "glibc,text=$text"
  [ ! -e "$OUT" ]
  refused "$words" gate --baseline glibc --candidate "text=$text" --workloads malloc-test --threads 1 --out "$OUT/1"
  refused "$words" gate --exact --baseline glibc --candidate "text=$text" --workloads malloc-test --out "$OUT/2"
  refused "$words" paper --allocators "glibc,text=$text" --workloads malloc-test --threads 1 --out "$OUT/3"
}

# odd STATUS WORDS HOW [ARG...]: a measured process that misbehaves.
odd() {
  local wanted=$1 words=$2 how=$3
  shift 3
  run "$BUILD/odd/run-bench" --threads 2 --reps 1 --timeout 1 --workloads malloc-test --allocators "glibc[ODD=$how]" \
    --out "$OUT" "$@"
  echo "$output"
  [ "$status" -eq 4 ]
  [ "$(rows pass status | grep audit)" = "audit $wanted" ]
  [ "$(rows pass status | grep timed)" = "timed unproven" ]
  column why | grep -qF "$words"
  [ "$(column pinned | grep -cx 1)" -eq 0 ]
  no_numbers
}

@test "a thread that cannot be bound is badbind" { odd badbind "binding thread 1073741823 to unit" badbind; }
@test "another number of threads is a crash" { odd crash "another number of threads" threads; }
@test "killed from outside, and not by the kernel, is a crash" { odd crash "killed from outside while setting up" killed; }
@test "an end before any message is a crash" { odd crash "ended with exit code 7 while loading" early; }
@test "another protocol is a crash" { odd crash "another version of the protocol" version; }
@test "silence is a timeout" { odd timeout "no answer in time while setting up" sleep; }
@test "a command of --wrap that is not there is a crash" {
  odd crash "the command of --wrap cannot be executed: /nonexistent" none --wrap /nonexistent
}

@test "a result without a proof is a crash" { odd crash "a message out of turn while loading" noproof; }
@test "a result without threads is a crash" { odd crash "a message out of turn while setting up" hasty; }

# unproven WORDS HOW: the probe finds it out, and so does every cell.
unproven() {
  run "$BUILD/odd/run-bench" --threads 2 --reps 1 --timeout 1 --workloads malloc-test --allocators "glibc[ODD=$2]" \
    --out "$OUT"
  echo "$output"
  [ "$status" -eq 4 ]
  [ "$(column status | sort -u)" = unproven ]
  column why | grep -qF "$1"
  no_numbers
}

@test "a proof without a file is unproven" { unproven "not known which file holds malloc" nopath; }
@test "a proof without a canary is unproven" { unproven "nobody saw the allocations of the canary" nocanary; }
@test "a library that cannot be read is unproven" { unproven "holds malloc cannot be read" nosha; }
@test "a process that answers well is ok" {
  run "$BUILD/odd/run-bench" --threads 2 --reps 1 --ops 1000 --workloads malloc-test --allocators glibc --out "$OUT"
  [ "$status" -eq 0 ]
  [ "$(column status | sort -u)" = ok ]
}

# After go, so the threads were bound.
late() {
  run "$BUILD/odd/run-bench" --threads 2 --reps 1 --timeout 1 --workloads malloc-test --allocators "glibc[ODD=$3]" \
    --out "$OUT"
  echo "$output"
  [ "$status" -eq 4 ]
  [ "$(rows pass status pinned | grep audit)" = "audit $1 1" ]
  column why | grep -qF "$2"
  no_numbers
}

@test "out of memory that the process reports is oom" { late oom "said so itself" oom; }
@test "too few allocations are unproven" { late unproven "5 allocations counted, 100 expected" miscount; }
@test "no allocations are unproven" { late unproven "no allocation was counted" idle; }
@test "too few operations are unproven" { late unproven "operations done, " lazy; }
@test "too few operations are unproven in the timed pass" {
  run "$BUILD/odd/run-bench" --threads 2 --reps 1 --ops 1000 --workloads malloc-test --allocators 'glibc[ODD=later]' --out "$OUT"
  [ "$status" -eq 4 ]
  [ "$(rows pass status)" = $'audit ok\ntimed unproven' ]
  column why | grep -qF "999 operations done, 1000 asked for"
  no_numbers
}
@test "too few frees are unproven" { late unproven "99 frees counted, 100 allocations" leak; }
@test "a bad exit code after a good result is a crash" { late crash "ended with exit code 3" exit; }
@test "a process that does not end is a timeout" { late timeout "the process does not end" stays; }

@test "a hanging allocator leaves no process behind" {
  local hang=$BUILD/fixtures/hang.so
  own_programs
  run "$BUILD/run-bench" --threads 1 --reps 1 --ops 1000 --timeout 1 --workloads malloc-test --out "$OUT" \
    --allocators "hang=$hang"
  [ "$status" -eq 4 ]
  never pgrep -f "$BUILD/cell"
}
