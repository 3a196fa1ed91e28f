#!/usr/bin/env bats
# What the preloaded allocator promises a process: its names, limits, refused system calls, threads, signals, forks.
# HEAPDYNO_LONG=1 for the long forms.

load driver

setup_file() {
  common_setup
  make -s -C "$ROOT" -j2 stress >&2
}

setup() {
  common_setup
  STRESS=$BUILD/stress
}

# on COMMAND...: with the arena preloaded, ended after two minutes.
on() {
  echo "+ $*"
  LD_PRELOAD=$BUILD/libarena.so timeout 120 "$@"
}

# long SHORT LONG: the number for the form that is wanted.
long() {
  if [ -n "${HEAPDYNO_LONG:-}" ]; then echo "$2"; else echo "$1"; fi
}

@test "every name of an allocator is defined, exported and works" {
  nm -D --defined-only "$BUILD/libarena.so" | awk '{ print $3 }' >"$BATS_TEST_TMPDIR/names"
  for name in malloc calloc realloc free posix_memalign aligned_alloc memalign valloc pvalloc malloc_usable_size \
    reallocarray free_sized free_aligned_sized malloc_trim mallctl malloc_stats_print nallocx \
    _Znwm _Znam _ZnwmRKSt9nothrow_t _ZnamRKSt9nothrow_t _ZnwmSt11align_val_t _ZnamSt11align_val_t \
    _ZnwmSt11align_val_tRKSt9nothrow_t _ZnamSt11align_val_tRKSt9nothrow_t \
    _ZdlPv _ZdaPv _ZdlPvm _ZdaPvm _ZdlPvRKSt9nothrow_t _ZdaPvRKSt9nothrow_t _ZdlPvSt11align_val_t _ZdaPvSt11align_val_t \
    _ZdlPvmSt11align_val_t _ZdaPvmSt11align_val_t _ZdlPvSt11align_val_tRKSt9nothrow_t _ZdaPvSt11align_val_tRKSt9nothrow_t; do
    grep -qx "$name" "$BATS_TEST_TMPDIR/names" || { echo "missing: $name"; false; }
  done
  on "$STRESS/names" libarena.so
}

@test "nothing else is exported" {
  run sh -c "nm -D --defined-only '$BUILD/libarena.so' | awk '{ print \$3 }' |
    grep -vE '^_Zn[wa]m|^_Zd[la]Pv|alloc|^free|^cfree$|^valloc$|memalign|^mallctl|^malloc_'"
  echo "$output"
  [ -z "$output" ]
}

@test "docs/arena-options.md is what the table of options says" {
  make -s -C "$ROOT" "${BUILD#"$ROOT/"}/tests/arena_options" >&2
  diff "$ROOT/docs/arena-options.md" <(env -u MALLOC_CONF "$BUILD/tests/arena_options" --table)
}

@test "C++ new and delete hold in all forms" {
  on "$STRESS/cxx_forms"
}

@test "at a limit on address space nine tenths become payload, again and again" {
  on "$STRESS/exhaustion" 256 100 1000 10000 100000 1000000
  on "$STRESS/exhaustion" 256 1000000 100000 10000 1000 100
}

@test "refused system calls do no harm" {
  for rules in mmap=12 mmap=22 "mmap=12 brk=12" brk=12 brk=22 munmap=12 munmap=22 madvise=12 madvise=22 mremap=12 mremap=22 \
    mprotect=12 mprotect=22 "mbind=22 getcpu=22" "madvise=22 munmap=12 mremap=12" "mmap=22 munmap=22 madvise=22 mremap=22 brk=22 mprotect=22"; do
    for conf in tcache:true tcache_gc_bytes:1024,dirty_decay_ms:1; do
      status=0
      # shellcheck disable=SC2086 # a list of rules
      MALLOC_CONF=$conf on "$STRESS/refused_calls" $rules || status=$?
      [ "$status" -ne 77 ] || skip "no seccomp filters here"
      [ "$status" -eq 0 ]
    done
  done
}

@test "threads made and joined leave nothing behind" {
  run on "$STRESS/threads" churn "$(long 10000 100000)"
  echo "$output"
  [ "$status" -eq 0 ]
  [ "${lines[-1]}" -lt 1024 ]
}

@test "destructors may allocate and free after the cache is gone" {
  on "$STRESS/threads" exit "$(long 300 5000)"
}

@test "signals may interrupt anything" {
  on "$STRESS/threads" signals "$(long 500 10000)"
}

@test "fork works while other threads hold what it wants" {
  on "$STRESS/fork_storm" "$(long 60 2000)"
  MALLOC_CONF=tcache:false on "$STRESS/fork_storm" "$(long 20 500)"
  MALLOC_CONF=tcache_gc_bytes:1024,dirty_decay_ms:1,narenas:2 on "$STRESS/fork_storm" "$(long 30 500)"
}

@test "the program of the bar measures what it is asked for" {
  [ "$(LD_PRELOAD=$BUILD/libarena.so "$STRESS/bar_program" idle)" -gt 100000 ]
  # An object of 4096 bytes that was written cannot take less, nor twice as much.
  run env LD_PRELOAD="$BUILD/libarena.so" "$STRESS/bar_program" bytes 4096 5000
  [ "$status" -eq 0 ]
  [ "${output%.*}" -ge 4096 ] && [ "${output%.*}" -lt 8192 ]
  LD_PRELOAD=$BUILD/libarena.so "$STRESS/bar_program" churn 20
  run "$STRESS/bar_program" bytes 0 1
  [ "$status" -eq 2 ]
  [[ $output == *"'0': a whole number above 0"* ]]
  run "$STRESS/bar_program" retain
  [ "$status" -eq 2 ]
}
