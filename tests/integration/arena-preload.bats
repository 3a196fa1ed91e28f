#!/usr/bin/env bats
# Real programs on the preloaded allocator: each must write what it writes without.

load driver

setup_file() {
  common_setup
  make -s -C "$ROOT" -j2 "${BUILD#"$ROOT/"}/libarena.so" >&2
}

setup() {
  common_setup
  export PYTHONMALLOC=malloc PYTHONHASHSEED=0
  cd "$BATS_TEST_TMPDIR"
}

# both COMMAND...: without and with the arena; what comes out must be the same.
both() {
  "$@" >plain.out 2>plain.err
  LD_PRELOAD=$BUILD/libarena.so "$@" >arena.out 2>arena.err
  diff plain.out arena.out
  diff plain.err arena.err
  [ -s plain.out ]
}

@test "python3 builds and drops big structures" {
  cat >big.py <<'PY'
import collections, hashlib, json, random, re, threading, zlib
random.seed(7)
def work(seed):
    rng = random.Random(seed)
    table = collections.defaultdict(list)
    for i in range(30000):
        table[rng.randrange(1000)].append({"n": i, "text": "x" * rng.randrange(200)})
    text = json.dumps(table, sort_keys=True)
    words = re.findall(r"x+", text)
    return hashlib.sha256(zlib.compress(text.encode())).hexdigest(), len(words)
results = {}
threads = [threading.Thread(target=lambda s=s: results.update({s: work(s)})) for s in range(3)]
for t in threads: t.start()
for t in threads: t.join()
for s in sorted(results): print(s, results[s])
print(sum(len(str(2 ** n)) for n in range(0, 3000, 7)))
PY
  both python3 big.py
}

@test "python3 forks and pools" {
  cat >pool.py <<'PY'
import multiprocessing, threading
def square(n): return sum(i * i for i in list(range(n)))
threading.Thread(target=lambda: [bytearray(1000) for _ in range(100000)]).start()
with multiprocessing.get_context("fork").Pool(3) as pool:
    print(pool.map(square, range(0, 20000, 500)))
PY
  both python3 pool.py
}

@test "python3 starts others by vfork, unloads a library whose blocks live on, and ends by exec" {
  cat >exec.py <<'PY'
import _ctypes, ctypes, os, subprocess, sys, threading
threading.Thread(target=lambda: [bytearray(3000) for _ in range(50000)]).start()
for i in range(10):
    print(subprocess.run(["sh", "-c", f"echo child {i}"], stdout=subprocess.PIPE, text=True).stdout.strip())
    os.waitpid(os.posix_spawn("/bin/true", ["true"], os.environ), 0)
for i in range(5):
    lib, db = ctypes.CDLL("libsqlite3.so.0"), ctypes.c_void_p()
    lib.sqlite3_open(b":memory:", ctypes.byref(db))
    lib.sqlite3_exec(db, b"create table t(a); insert into t values(randomblob(100000))", None, None, None)
    _ctypes.dlclose(lib._handle)
    junk = [str(n) * 10 for n in range(20000)]
print(len(junk))
sys.stdout.flush()
os.execv("/bin/sh", ["sh", "-c", "seq 1000 | sort -n | tail -1; exec echo end"])
PY
  both python3 exec.py
}

@test "sqlite3 makes, indexes and sorts a table" {
  cat >script.sql <<'SQL'
CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b INTEGER);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
INSERT INTO t SELECT i, printf('%x', i * 2654435761 % 4294967296), i * 7919 % 10007 FROM n;
CREATE INDEX t_b ON t(b, a);
DELETE FROM t WHERE b % 3 = 0;
SELECT count(*), sum(b), min(a), max(a) FROM t;
SELECT a, b FROM t ORDER BY a DESC LIMIT 20;
SELECT group_concat(x, ',') FROM (SELECT substr(a, 1, 2) AS x, count(*) FROM t GROUP BY x ORDER BY 2, 1);
PRAGMA integrity_check;
SQL
  both sqlite3 :memory: ".read script.sql"
}

@test "git makes a repository, commits, collects its garbage and checks it" {
  cat >repo.sh <<'SH'
set -e
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
export GIT_AUTHOR_DATE="1000000000 +0000" GIT_COMMITTER_DATE="1000000000 +0000"
rm -rf repo && git init -q -b main repo && cd repo
for i in 1 2 3 4 5 6; do
  seq $((i * 1000)) >"file$i"; seq 1 $i 20000 >common
  git add -A && git commit -q -m "commit $i"
done
git gc -q --prune=now && git fsck --full --strict
git log --stat --format=%H && git diff HEAD~3 --stat && git grep -c 77 | sort
SH
  both sh repo.sh
}

@test "gcc and g++ compile, and what they made runs" {
  cat >sort.c <<'C'
#include <stdio.h>
#include <stdlib.h>
static int by_value(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
int main(void) {
    int n = 100000, *v = malloc(n * sizeof *v);
    for (unsigned i = 0, x = 1; i < (unsigned)n; i++) v[i] = (int)((x = x * 1664525 + 1013904223) >> 8);
    qsort(v, n, sizeof *v, by_value);
    printf("%d %d %d\n", v[0], v[n / 2], v[n - 1]);
    free(v);
}
C
  cat >words.cc <<'CC'
#include <algorithm>
#include <iostream>
#include <map>
#include <regex>
#include <string>
int main() {
    std::map<std::string, int> words;
    for (int i = 0; i < 20000; i++) words[std::to_string(i * 7919 % 5003)] += i;
    std::cout << words.size() << ' ' << words.rbegin()->second << ' '
              << std::regex_replace(std::string("a-b-c"), std::regex("-"), "+") << '\n';
}
CC
  cat >compile.sh <<'SH'
set -e
gcc -O2 -o sort sort.c && ./sort
g++ -O1 -o words words.cc && ./words
gcc -O2 -S -o - sort.c | cksum && g++ -O1 -S -o - words.cc | cksum
SH
  both sh compile.sh
}

@test "perl sorts, matches and forgets" {
  both perl -e 'my %h; srand 1; for my $i (1 .. 60000) { push @{$h{$i * 7919 % 997}}, "v$i" x ($i % 9) }
    my $s = 0; for my $k (sort { $a <=> $b } keys %h) { $s += length join ",", @{$h{$k}}; delete $h{$k} if $k % 2 }
    my $t = "ab" x 50000; my $n = () = $t =~ /a(?=b)/g; print "$s $n ", scalar(keys %h), "\n";
    if (my $pid = fork) { waitpid $pid, 0; print $? >> 8, "\n" } else { my @a = map { [$_] } 1 .. 10000; exit @a % 256 }'
}

@test "redis-server serves, saves and gives memory back" {
  command -v redis-server >/dev/null || skip "redis-server is not installed"
  LD_PRELOAD=$BUILD/libarena.so redis-server --port 0 --unixsocket "$PWD/redis.sock" --dir "$PWD" --save "" \
    --io-threads 2 --daemonize no >redis.log 2>&1 3>&- &
  pid=$!
  cli() { redis-cli -s "$PWD/redis.sock" "$@"; }
  for _ in $(seq 200); do [ "$(cli ping 2>/dev/null)" = PONG ] && break; sleep 0.05; done
  grep -q libarena "/proc/$pid/maps"
  redis-benchmark -s "$PWD/redis.sock" -q -n 20000 -r 10000 -d 200 -P 16 -t set,get,lpush,lrange_100
  for i in $(seq 50); do echo "SET key:$i value-$i"; done | cli >/dev/null
  cli bgsave
  for _ in $(seq 200); do cli info persistence | grep -q "rdb_bgsave_in_progress:0" && break; sleep 0.05; done
  cli info persistence | grep -q "rdb_last_bgsave_status:ok"
  [ "$(cli get key:17)" = value-17 ]
  cli memory stats | head -3
  cli flushall
  cli memory purge
  [ "$(cli dbsize)" = 0 ]
  cli shutdown nosave || true
  wait "$pid"
  [ ! -s redis.log ] || ! grep -iE "crash|assert|bug" redis.log
}

# Under valgrind the arena itself must serve: its report of statistics says so.
under_valgrind() {
  echo "+ $*"
  LD_PRELOAD=$BUILD/libarena.so MALLOC_CONF=stats_print:true valgrind -q --error-exitcode=9 "$@" >under.out 2>under.err
  grep -q "Begin arena statistics" under.err
  never grep "^==" under.err
}

@test "programs run under valgrind, and memcheck finds nothing wrong" {
  command -v valgrind >/dev/null || skip "valgrind is not installed"
  make -s -C "$ROOT" "${BUILD#"$ROOT/"}/stress/threads" >&2
  under_valgrind --tool=callgrind --callgrind-out-file=/dev/null sqlite3 :memory: "select 17 * 3"
  grep -qx 51 under.out
  # memcheck puts its own functions in the place of every malloc, unless it is told that there is none.
  under_valgrind --soname-synonyms=somalloc=none "$BUILD/stress/threads" churn 20
  under_valgrind --soname-synonyms=somalloc=none "$BUILD/stress/threads" exit 5
}
