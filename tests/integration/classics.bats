#!/usr/bin/env bats
# The two classics behind one lock, preloaded and measured: each test runs for both.

load driver

setup_file() {
  common_setup
  common_build
  make -s -C "$ROOT" -j2 stress >&2
}

setup() {
  common_setup
  STRESS=$BUILD/stress
  export PYTHONMALLOC=malloc PYTHONHASHSEED=0
  cd "$BATS_TEST_TMPDIR"
}

# on COMMAND...: with each preloaded, ended after two minutes.
on() {
  local kind
  for kind in dl phk; do
    echo "+ biglock-$kind: $*"
    LD_PRELOAD=$BUILD/libbiglock-$kind.so timeout 120 "$@"
  done
}

# same COMMAND...: what comes out must be the same without them and with each.
same() {
  local kind
  "$@" >plain.out 2>plain.err
  [ -s plain.out ]
  for kind in dl phk; do
    echo "+ biglock-$kind: $*"
    LD_PRELOAD=$BUILD/libbiglock-$kind.so timeout 120 "$@" >with.out 2>with.err
    diff plain.out with.out
    diff plain.err with.err
  done
}

@test "classics: every name is theirs and works, and no other is exported" {
  for kind in dl phk; do
    LD_PRELOAD=$BUILD/libbiglock-$kind.so "$STRESS/names" "libbiglock-$kind.so" plain
    run sh -c "nm -D --defined-only '$BUILD/libbiglock-$kind.so' | awk '{ print \$3 }' | sort | tr '\n' ' '"
    echo "$output"
    [ "$output" = "aligned_alloc biglock_allocated_bytes biglock_check biglock_$kind calloc free malloc \
malloc_usable_size memalign posix_memalign pvalloc realloc reallocarray valloc " ]
  done
}

@test "classics: C++ new and delete hold in all forms" {
  on "$STRESS/cxx_forms"
}

@test "classics: at a limit on address space nine tenths become payload, again and again" {
  on "$STRESS/exhaustion" 128 240 1000 16000 100000 1000000
  on "$STRESS/exhaustion" 128 1000000 100000 16000 1000 240
}

@test "classics: refused system calls do no harm" {
  for rules in mmap=12 munmap=12 mremap=12 "mmap=22 munmap=22 madvise=22 mremap=22 brk=22 mprotect=22"; do
    status=0
    # shellcheck disable=SC2086 # a list of rules
    on "$STRESS/refused_calls" $rules || status=$?
    [ "$status" -ne 77 ] || skip "no seccomp filters here"
    [ "$status" -eq 0 ]
  done
}

@test "classics: threads come and go, signals interrupt, processes fork" {
  on "$STRESS/threads" churn 2000
  on "$STRESS/threads" exit 200
  on "$STRESS/threads" signals 300
  on "$STRESS/fork_storm" 40 unflushed
}

@test "classics: python3 writes what it writes without them" {
  cat >big.py <<'PY'
import collections, hashlib, json, random, threading, zlib
def work(seed):
    rng = random.Random(seed)
    table = collections.defaultdict(list)
    for i in range(10000):
        table[rng.randrange(500)].append({"n": i, "text": "x" * rng.randrange(200)})
    return hashlib.sha256(zlib.compress(json.dumps(table, sort_keys=True).encode())).hexdigest()
results = {}
threads = [threading.Thread(target=lambda s=s: results.update({s: work(s)})) for s in range(3)]
for t in threads: t.start()
for t in threads: t.join()
for s in sorted(results): print(s, results[s])
PY
  same python3 big.py
}

@test "classics: sqlite3, sort and a pipeline of forks write what they write without them" {
  cat >script.sql <<'SQL'
CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b INTEGER);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO t SELECT i, printf('%x', i * 2654435761 % 4294967296), i % 97 FROM n;
CREATE INDEX t_a ON t(a);
SELECT b, count(*), min(a), max(a) FROM t GROUP BY b ORDER BY count(*) DESC, b LIMIT 20;
SQL
  same sh -c 'sqlite3 :memory: <script.sql'
  same sh -c 'seq 1 200000 | sort --parallel=4 -k1,1 | sha256sum'
}

@test "classics: proved, audited and measured like any other, dlopened and preloaded" {
  for load in dlopen preload; do
    "$BENCH" --threads 1,7 --reps 1 --ops 20000 --workloads malloc-test,larson,prodcons --load "$load" \
      --allocators biglock-dl,biglock-phk --out "$OUT-$load"
    run column canary "$OUT-$load/samples.csv"
    [ "$(echo "$output" | grep -c ' own=1[0-9]* freed=1')" -eq "${#lines[@]}" ]
    python3 - "$OUT-$load/samples.csv" <<'PY'
import csv, sys
rows = list(csv.DictReader(open(sys.argv[1], newline="")))
assert len(rows) == 2 * 2 * 3 * 2, len(rows)
for r in rows:
    assert r["status"] == "ok", (r["allocator"], r["workload"], r["why"])
    if r["pass"] == "audit":
        assert r["counted_allocs"] == r["expected_allocs"] == r["counted_frees"] != ""
PY
  done
}

@test "classics: no part of a sweep that names none" {
  run "$BENCH" --list
  [ "$status" -eq 0 ]
  echo "$output" | grep -E '^ *biglock-(dl|phk)'
  "$BENCH" --print-plan >planned
  grep -q ,arena, planned
  never grep -q biglock planned
}

@test "arena and jemalloc without thread caches are proved by what they count" {
  "$BENCH" --threads 2 --reps 1 --ops 20000 --workloads malloc-test --out "$OUT" \
    --allocators 'arena[MALLOC_CONF=tcache:false],jemalloc[MALLOC_CONF=tcache:false]'
  run column canary
  [ "${#lines[@]}" -eq 4 ]
  [ "$(echo "$output" | grep -c ' own=16384 freed=16384')" -eq 4 ]
  [ "$(column status | sort -u)" = ok ]
}
