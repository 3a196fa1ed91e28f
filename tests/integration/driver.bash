# shellcheck shell=bash disable=SC2154 # status and output are set by bats
# What the tests of the driver share. HEAPDYNO_BUILD names the build folder, as for ./run-bench.

common_setup() {
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
  BUILD=${HEAPDYNO_BUILD:-build}
  case $BUILD in
    /*) ;;
    *) BUILD=$ROOT/$BUILD ;;
  esac
  BENCH=$ROOT/run-bench
  OUT=${BATS_TEST_TMPDIR:-}/out
  export HEAPDYNO_ROOT=$ROOT
  unset HWLOC_SYNTHETIC HWLOC_XMLFILE
}

# Once a file: what the tests run.
common_build() {
  common_setup
  make -s -C "$ROOT" -j2 all fixtures >&2
}

# never COMMAND...: fails if the command succeeds (bats does not see a `!`).
never() {
  if "$@"; then
    echo "this succeeded: $*"
    return 1
  fi
}

# Makes BUILD a folder with copies of the programs that no other test runs, so that pgrep finds those of this one.
own_programs() {
  mkdir "$BATS_TEST_TMPDIR/programs"
  cp "$BUILD/run-bench" "$BUILD/cell" "$BATS_TEST_TMPDIR/programs"
  BUILD=$BATS_TEST_TMPDIR/programs
}

# gone FILE...: each is removed, if not by this test's processes, then by those of others that made it.
gone() {
  local file
  for file in "$@"; do
    for _ in $(seq 600); do
      [ -e "$file" ] || continue 2
      sleep 0.1
    done
    echo "left behind: $file"
    return 1
  done
}

# rows COLUMN...: these columns of samples.csv, separated by blanks, in order.
rows() {
  local names=$* name files=()
  for name in $names; do
    column "$name" >"$BATS_TEST_TMPDIR/column.$name"
    files+=("$BATS_TEST_TMPDIR/column.$name")
  done
  paste -d' ' "${files[@]}"
}

# refused MESSAGE ARG...: exit code 2 and a message with these words.
refused() {
  local words=$1
  shift
  run "$BENCH" "$@"
  echo "$output"
  [ "$status" -eq 2 ]
  [[ "$output" == *"$words"* ]]
}

# no_numbers: rows that are not ok carry no figure; there is at least one such row.
no_numbers() {
  python3 -c '
import csv, sys
rows = list(csv.DictReader(open(sys.argv[1], newline="")))
names = list(rows[0])
figures = set(names[names.index("start_skew_ns"):names.index("status")]) - {
    "block", "slot", "repetition", "seed", "start_unix_ns", "duration_ns", "ops_target",
    "expected_allocs", "counted_allocs", "counted_frees"}
assert {"ops", "ops_per_s", "peak_rss_bytes", "generations", "wall_ns", "lat_max_ns"} <= figures
bad = [r for r in rows if r["status"] != "ok"]
assert bad, "every row is ok"
for r in bad:
    left = {name: r[name] for name in figures if r[name] != ""}
    assert not left, left' "$OUT/samples.csv"
}

# column NAME [FILE]: the values of a column of samples.csv, in order.
column() {
  python3 -c '
import csv, sys
for row in csv.DictReader(open(sys.argv[2], newline="")):
    print(row[sys.argv[1]])' "$1" "${2:-$OUT/samples.csv}"
}

# every_cell_once: the union of what was measured is the plan.
every_cell_once() {
  python3 -c '
import csv, sys
def cells(path):
    return [(r["cell_id"], r["repetition"]) for r in csv.DictReader(open(path, newline=""))]
plan, samples = (cells(f"{sys.argv[1]}/{name}.csv") for name in ("plan", "samples"))
assert len(set(samples)) == len(samples), "a cell is there twice"
assert set(plan) == set(samples), f"{len(plan)} planned, {len(samples)} there"' "$OUT"
}
