#!/usr/bin/env bats
# Memory over time: the rss pass, rss.csv, what does not fit into memory.
# shellcheck disable=SC2154 # status and output are set by bats

setup_file() {
  load driver
  common_build
}

setup() {
  load driver
  common_setup
}

# One cycle of 40000 blocks and then 20000 small ones; nothing is larger than the fill.
SPARSE=(--workloads sparse-survivor --param sparse-survivor.blocks=40000 --param sparse-survivor.second_bytes=16
  --param sparse-survivor.cycles=1 --param sparse-survivor.hold_ms=100)

quick() {
  "$BENCH" --quick --reps 1 --ops 20000 --out "$OUT" "$@"
}

# judge_rss CODE: runs it with `rows`, the ok rows of the rss pass, and `series`, {(cell_id, repetition): [sample]}.
judge_rss() {
  python3 -c '
import csv, sys
def read(name):
    return list(csv.DictReader(open(f"{sys.argv[1]}/{name}", newline="")))
rows = [r for r in read("samples.csv") if r["pass"] == "rss" and r["status"] == "ok"]
series = {}
for s in read("rss.csv"):
    series.setdefault((s["cell_id"], s["repetition"]), []).append(s)
def held(r, column):
    return int(r[column]) - int(r["start_rss_bytes"]) - int(r["table_bytes"])
exec(sys.argv[2])' "$OUT" "$1"
}

# The samples of each ok cell, all of them, and of no other.
samples_are_whole() {
  judge_rss '
assert {(r["cell_id"], r["repetition"]): int(r["rss_samples"]) for r in rows} == {
    cell: len(samples) for cell, samples in series.items()}, (len(rows), len(series))
assert rows'
}

@test "rss: what is kept is known of an allocator that keeps all and of one that keeps nothing" {
  quick "${SPARSE[@]}" --allocators "hoarder=$BUILD/fixtures/hoarder.so,unmapper=$BUILD/fixtures/unmapper.so"
  every_cell_once
  samples_are_whole
  judge_rss '
assert len(rows) == 4, len(rows)
mean = (16 + 1016) / 2                   # of the 40000 blocks of the fill; the refill asks for 20000 of 16 bytes
for r in rows:
    where = r["allocator"], r["threads"]
    live, kept = int(r["peak_live_bytes"]), held(r, "retained_1s_rss_bytes")
    assert abs(live / (40000 * mean) - 1) < 0.01, (where, live)
    assert kept == held(r, "retained_100ms_rss_bytes"), where
    assert r["retained_5s_rss_bytes"] == "", where
    if r["allocator"] == "hoarder":      # a header of 16 bytes, and rounding up to 16, 7.5 on average
        block = mean + 16 + 7.5
        assert abs(kept / (40000 * block + 20000 * 32) - 1) < 0.05, (where, kept)
        assert abs(float(r["fragmentation"]) / (block / mean) - 1) < 0.05, (where, r["fragmentation"])
    else:                                # a page for each block; code comes back, up to a megabyte
        assert -100e3 < kept < 1.2e6, (where, kept)
        assert abs(float(r["fragmentation"]) / (4096 / mean) - 1) < 0.05, (where, r["fragmentation"])'
}

@test "rss: samples rise in time, cover the end, and follow the live bytes up and down" {
  quick "${SPARSE[@]}" --allocators glibc --threads 2 --rss=5ms
  samples_are_whole
  judge_rss '
[r], [samples] = rows, series.values()
t = [int(s["t_ns"]) for s in samples]
live = [int(s["live_bytes"]) for s in samples]
rss = [int(s["rss_bytes"]) for s in samples]
assert t == sorted(set(t)) and t[-1] >= int(r["freed_ns"]) + 10**9
assert max(live) == int(r["peak_live_bytes"])
assert int(r["peak_live_rss_bytes"]) in rss and int(r["peak_live_rss_bytes"]) <= int(r["peak_rss_bytes"])
assert set(l for l, at in zip(live, t) if at > int(r["freed_ns"])) == {0}
held = {s["pss_bytes"] for s in samples} - {""}
assert not held or max(map(int, held)) <= 1.05 * max(rss)
assert r["rss_interval_ns"] == "5000000" and 0 < int(r["rss_sampling_ns"]) < t[-1]
assert r["ops_per_s"] == r["window_ns"] == "" != r["ops"]
assert r["counted_allocs"] == r["counted_frees"] == r["expected_allocs"] == "60000", r["counted_allocs"]'
}

@test "rss: courses are watched once without being asked, everything with --rss, nothing with --rss=off" {
  passes() {
    "$BENCH" --dry-run --threads 1 --allocators glibc --reps 2 "$@" | awk '$3 ~ /^(audit|timed|rss)$/ { print $3, $5 }' |
      sort | uniq -c | tr -s ' \n' ' '
  }
  [ "$(passes --workloads robson,larson)" = " 2 audit larson 2 audit robson 1 rss robson 2 timed larson 2 timed robson " ]
  [ "$(passes --workloads robson,larson --rss=off)" = " 2 audit larson 2 audit robson 2 timed larson 2 timed robson " ]
  [[ "$(passes --workloads robson,larson --rss)" == *" 2 rss larson 2 rss robson "* ]]
  [[ "$(passes)" != *rss* ]]
}

@test "rss: a workload that ends by operations, with threads that succeed each other; live bytes only where they are kept" {
  quick --workloads thread-churn,larson --allocators glibc --threads 2 --rss --ops 400000
  samples_are_whole
  judge_rss '
by = {r["workload"]: (r, series[r["cell_id"], r["repetition"]]) for r in rows}
assert all(r["ops"] == "400000" for r in rows)
assert by["larson"][0]["peak_live_bytes"] == by["larson"][0]["fragmentation"] == ""
assert {s["live_bytes"] for s in by["larson"][1]} == {""}
assert int(by["thread-churn"][0]["peak_live_bytes"]) > 0
generations = [int(s["generations"]) for s in by["thread-churn"][1]]
assert generations == sorted(generations) and generations[-1] > 2'
}

@test "rss: what is held does not grow with the threads that have lived, but for what the allocator keeps of them" {
  # 20000 threads one after another: counters of their own would take 128 bytes of each.
  quick --workloads thread-churn --allocators glibc --threads 1 --rss=2ms --ops 2000000 --param thread-churn.steps=100
  judge_rss '
(samples,) = series.values()
last = int(samples[-1]["generations"])
running = [s for s in samples if last / 2 <= int(s["generations"]) < last]
grown = int(running[-1]["rss_bytes"]) - int(running[0]["rss_bytes"])
print(last, len(running), grown)
assert last == 20000 and len(running) > 20 and grown < 10000 * 32'
}

@test "rss: a cell that fails has neither numbers nor samples, and the next one has" {
  run quick "${SPARSE[@]}" --threads 1 \
    --allocators "crash=$BUILD/fixtures/crash.so[FAULT_AFTER=50000],sound=$BUILD/fixtures/sound.so"
  [ "$status" -eq 4 ]
  run rows pass allocator status
  echo "$output"
  grep -q '^audit crash ok' <<<"$output"
  grep -q '^rss crash crash' <<<"$output"
  grep -q '^rss sound ok' <<<"$output"
  no_numbers
  samples_are_whole
}

@test "rss: killed after the samples and before the row, a run goes on and has both once" {
  quick "${SPARSE[@]}" --threads 1 --allocators glibc,null
  cp -r "$OUT" "$OUT.whole"
  sed -i '$d' "$OUT/samples.csv"
  "$BENCH" --resume "$OUT"
  every_cell_once
  samples_are_whole
  sed -i '$d' "$OUT/samples.csv"
  sed -i '$d' "$OUT/rss.csv"
  printf 'torn' >>"$OUT/rss.csv"
  "$BENCH" --resume "$OUT"
  every_cell_once
  samples_are_whole
  cmp <(head -1 "$OUT/rss.csv") <(head -1 "$OUT.whole/rss.csv")
}

@test "rss: a watched cell can be planned elsewhere" {
  "$BENCH" --quick --reps 1 --ops 20000 --threads 1 --allocators glibc "${SPARSE[@]}" --print-plan |
    grep -E '^position|,rss,' >"$BATS_TEST_TMPDIR/plan.csv"
  "$BENCH" --plan "$BATS_TEST_TMPDIR/plan.csv" --out "$OUT"
  [ "$(rows pass status)" = "rss ok" ]
  judge_rss 'assert int(rows[0]["retained_5s_rss_bytes"]) > 0'
  sed 's/,$/,5/' "$BATS_TEST_TMPDIR/plan.csv" >"$BATS_TEST_TMPDIR/bad.csv"
  refused "a course that is watched ends by itself" --plan "$BATS_TEST_TMPDIR/bad.csv" --out "$OUT.2"
}

@test "--mem-limit: what says that it holds more live is skipped with the reason, in every pass" {
  run quick "${SPARSE[@]}" --allocators glibc --threads 1 --mem-limit 10M
  [ "$status" -eq 4 ]
  [ "$(rows pass status | sort)" = $'audit skip\nrss skip\ntimed skip' ]
  [[ "$(column why)" == *"up to 40640000 bytes would be live, --mem-limit is 10485760"* ]]
  no_numbers
  refused "allowed is a number of bytes above 0" --mem-limit 10Q
  refused "allowed is a number of bytes above 0" --mem-limit 0
  refused "allowed are off, or a time from 1ms" --rss=10us
}

@test "--quick: fewer repetitions outside core, short courses, unless the command line says otherwise" {
  run "$BENCH" --quick --dry-run --allocators glibc --workloads ramp-plateau,larson --threads 1
  echo "$output"
  [ "$(grep -c ' timed .* larson ' <<<"$output")" -eq 3 ]
  [ "$(grep -c ' timed .* ramp-plateau ' <<<"$output")" -eq 1 ]
  "$BENCH" --quick --print-plan --allocators glibc --workloads ramp-plateau | grep -q 'cycles=2;.*hold_ms=500'
  "$BENCH" --quick --print-plan --allocators glibc --workloads ramp-plateau --param ramp-plateau.cycles=3 |
    grep -q 'cycles=3;.*hold_ms=500'
  run "$BENCH" --quick --reps 2 --dry-run --allocators glibc --workloads ramp-plateau --threads 1
  [ "$(grep -c ' timed .* ramp-plateau ' <<<"$output")" -eq 2 ]
}
