#!/usr/bin/env bats
# The latency pass: sampled calls, transactions by a schedule, first allocations, starting up.
# shellcheck disable=SC2154 # status and output are set by bats

load driver

setup_file() {
  common_build
}

setup() {
  common_setup
  SLOW=slow=$BUILD/fixtures/slow.so
}

latency() {
  run "$BENCH" --out "$OUT" --reps 1 --latency "$@"
  echo "$output"
}

# check PYTHON: with `samples`, the latency rows of samples.csv, and at(operation, size_bytes, **cell), which gives
# {percentile: ns} of the rows of latency.csv that match, n among them.
check() {
  python3 -c '
import csv, sys
def read(name):
    return list(csv.DictReader(open(f"{sys.argv[1]}/{name}.csv", newline="")))
samples = [r for r in read("samples") if r["pass"] == "latency"]
rows = read("latency")
def at(operation, size_bytes="all", **cell):
    found = [r for r in rows if r["operation"] == operation and r["size_bytes"] == size_bytes
             and all(r[k] == v for k, v in cell.items())]
    told = {float(r["percentile"]): float(r["ns"]) for r in found}
    assert len(told) == len(found), "a percentile is there twice"
    assert len({r["n"] for r in found}) <= 1
    return dict(told, n=int(found[0]["n"])) if found else {}
'"$1" "$OUT"
}

@test "a malloc that sleeps one time in five hundred shows from the 99.9th percentile on" {
  latency --allocators "$SLOW" --workloads malloc-test --threads 1 --ops 20000 --sample-every 1
  [ "$status" -eq 0 ]
  check '
malloc, free = at("malloc"), at("free")
assert malloc["n"] == free["n"] == 20000
assert malloc[99.9] >= 1e6 and malloc[99.99] >= 1e6 and malloc[100] >= 1e6, malloc
assert malloc[90] < 1e6 and free[90] < 1e6
assert at("malloc", "257..1024") == malloc
assert at("free", "257..1024") == {}, "free does not know the size"
(row,) = samples
assert float(row["lat_max_ns"]) >= 1e6 and row["lat_samples"] == "40000"
assert float(row["lat_p9999_ns"]) >= 1e6 > float(row["lat_p90_ns"])'
}

@test "about one call in sample-every is timed, by every thread" {
  latency --allocators glibc --workloads malloc-test,calloc-fresh,realloc-grow,aligned --threads 2 --ops 64000 \
    --sample-every 64
  [ "$status" -eq 0 ]
  check '
for operation, workload in (("malloc", "malloc-test"), ("free", "malloc-test"), ("calloc", "calloc-fresh"),
                            ("realloc", "realloc-grow"), ("aligned_alloc", "aligned")):
    assert at(operation, workload=workload), operation
for operation in ("malloc", "free"):
    assert 800 < at(operation, workload="malloc-test")["n"] < 1200, operation
assert {r["sample_every"] for r in samples} == {"64"}'
}

@test "latency.csv and samples.csv agree; other passes have no latencies and the latency pass no memory" {
  latency --allocators glibc,jemalloc,arena --workloads malloc-test,larson --threads 1,2 --duration 100ms \
    --sample-every 32
  [ "$status" -eq 0 ]
  every_cell_once
  [[ "$output" == *"$OUT/latency.csv"* ]]
  check '
assert len(samples) == 12 and {r["status"] for r in samples} == {"ok"}
for row in samples:
    cell = {"cell_id": row["cell_id"], "repetition": row["repetition"]}
    calls = at("any", **cell)
    for column, percentile in (("p50", 50), ("p90", 90), ("p99", 99), ("max", 100)):
        assert float(row[f"lat_{column}_ns"]) == calls[percentile], column
    assert int(row["lat_samples"]) == calls["n"] == at("malloc", **cell)["n"] + at("free", **cell)["n"]
    told = [calls[p] for p in sorted(set(calls) - {"n"})]
    assert told == sorted(told) and told[0] > 0
    assert row["lat_timer"] in ("rdtscp", "clock_gettime")
    assert 0 < float(row["lat_timer_step_ns"])
    assert 0 < float(row["lat_timer_min_ns"]) <= float(row["lat_timer_median_ns"])
    assert row["peak_rss_bytes"] == "" and row["rate_per_s"] == ""
    assert at("startup", **cell) == {0: float(row["startup_ns"]), 100: float(row["startup_ns"]), "n": 1}
    threads = int(row["threads"])
    n_first = at("first-malloc", **cell)["n"]
    assert n_first == threads if row["workload"] == "malloc-test" else n_first >= threads
others = [r for r in read("samples") if r["pass"] != "latency"]
assert len(others) == 24 and all(not r["lat_p50_ns"] and not r["startup_ns"] for r in others)'
}

@test "every thread that is born has a first malloc" {
  latency --allocators glibc --workloads thread-churn --threads 2 --ops 500 --param thread-churn.steps=5
  [ "$status" -eq 0 ]
  check '
(row,) = samples
assert at("first-malloc")["n"] >= 50, at("first-malloc")'
}

@test "transactions arrive by a schedule, the same for every allocator" {
  latency --allocators glibc,arena,"$SLOW" --workloads malloc-test,larson,alloc-test,superserver --threads 2 \
    --ops 20000 --rate 2000 --transaction-ops 50
  [ "$status" -eq 0 ]
  check '
assert len(samples) == 12
for row in samples:
    cell = {"cell_id": row["cell_id"]}
    assert row["status"] == "ok" and row["ops"] == "20000", row["why"]
    assert (row["rate_per_s"], row["transaction_ops"], row["arrivals"]) == ("2000", "50", "poisson")
    assert row["transactions"] == row["lat_samples"] == "400" and row["missed_fraction"] == "0"
    assert 0 <= float(row["late_fraction"]) <= 1
    whole, service, delay = (at(f"transaction{part}", **cell) for part in ("", "-service", "-delay"))
    assert whole["n"] == service["n"] == delay["n"] == 400
    assert float(row["lat_p99_ns"]) == whole[99]
    for p in (50, 90, 99):
        assert whole[p] >= service[p] * 0.99 and whole[p] >= delay[p] * 0.99'
}

@test "what cannot be borne shows in the transactions, and not only in the few that were served" {
  # A sleep of 1 ms a transaction, 5000 of which come in a second.
  latency --allocators "$SLOW[SLOW_EVERY=100]" --workloads malloc-test --threads 1 --duration 400ms --rate 5000 \
    --arrivals fixed
  [ "$status" -eq 0 ]
  check '
(row,) = samples
assert row["arrivals"] == "fixed"
assert float(row["missed_fraction"]) > 0.5 and float(row["late_fraction"]) > 0.1
assert int(row["transactions"]) == int(row["lat_samples"])
assert at("transaction-service")[0] >= 1e6
assert at("transaction")[50] > 20e6 and at("transaction")[50] > 5 * at("transaction-service")[50]'
}

@test "a workload whose threads wait for each other is skipped with --rate, and says why" {
  latency --allocators glibc --workloads malloc-test,prodcons --threads 2 --ops 2000 --rate 1000
  [ "$status" -eq 0 ]
  [ "$(rows workload pass status | grep -c '^prodcons latency skip$')" -eq 1 ]
  [[ "$output" == *"the workload cannot be cut into transactions"* ]]
}

@test "--load preload: the whole process starts on the allocator" {
  latency --load preload --allocators glibc,jemalloc --workloads malloc-test --threads 1 --ops 100000 --sample-every 16
  [ "$status" -eq 0 ]
  check '
assert len(samples) == 2 and all(r["status"] == "ok" and int(r["startup_ns"]) > 0 for r in samples)'
}

@test "a run that was killed between latency.csv and samples.csv has every cell once after --resume" {
  latency --allocators glibc,jemalloc --workloads malloc-test --threads 1,2 --ops 20000 --sample-every 16
  [ "$status" -eq 0 ]
  sort "$OUT/latency.csv" | cut -d, -f1-10 | grep -v startup >"$BATS_TEST_TMPDIR/before"
  # The last cell is one with latencies: its row is taken away, and of what a next one wrote a torn line is left.
  python3 - "$OUT" <<'PY'
import sys
path = f"{sys.argv[1]}/samples.csv"
lines = open(path).read().splitlines(keepends=True)
assert ",latency," in lines[-1]
open(path, "w").write("".join(lines[:-1]))
open(f"{sys.argv[1]}/latency.csv", "a").write("0123456789ab,glibc,,malloc-t")
PY
  run "$BENCH" --resume "$OUT"
  echo "$output"
  [ "$status" -eq 0 ]
  every_cell_once
  check '
keys = [tuple(r.values())[:8] + (r["percentile"],) for r in rows]
assert len(set(keys)) == len(keys)
assert {(r["cell_id"], r["repetition"]) for r in rows} == {(r["cell_id"], r["repetition"]) for r in samples}'
  # The sampling is seeded: operations, sizes, numbers of samples and percentiles are those of the first time.
  diff "$BATS_TEST_TMPDIR/before" <(sort "$OUT/latency.csv" | cut -d, -f1-10 | grep -v startup)
}

@test "a cell that fails has no latencies" {
  latency --allocators "bad=$BUILD/fixtures/crash.so[FAULT_AFTER=1000]" --workloads malloc-test --threads 1 --ops 30000
  [ "$status" -eq 4 ]
  no_numbers
  [ "$(wc -l <"$OUT/latency.csv")" -eq 1 ]
}

@test "a plan carries the pass; its settings are given beside it" {
  "$BENCH" --print-plan --latency --allocators glibc --workloads malloc-test --threads 1 --reps 1 --ops 20000 \
    --sample-every 8 >"$BATS_TEST_TMPDIR/plan.csv"
  run "$BENCH" --plan "$BATS_TEST_TMPDIR/plan.csv" --sample-every 8 --out "$OUT"
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$(rows pass sample_every | tail -1)" = "latency 8" ]
  refused "cell_id is" --plan "$BATS_TEST_TMPDIR/plan.csv" --out "$OUT.2"
}

@test "what makes no sense is refused" {
  refused "--sample-every needs --latency" --sample-every 10
  refused "--rate needs --latency" --rate 10
  refused "--transaction-ops needs --rate" --latency --transaction-ops 10
  refused "--arrivals needs --rate" --latency --arrivals fixed
  refused "--rate 0: allowed is a whole number of transactions a second from 1 to 100000000" --latency --rate 0
  refused "--sample-every x: allowed is a whole number of calls from 1 to" --latency --sample-every x
  refused "--arrivals now: allowed are poisson, fixed" --latency --rate 5 --arrivals now
}
