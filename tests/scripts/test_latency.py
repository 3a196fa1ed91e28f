"""Latencies: which rows of latency.csv count, what a figure shows of them, and both programs drawing it."""
import csv
import subprocess
import xml.etree.ElementTree as ElementTree

import golden
import pytest
from conftest import SCRIPTS

from heapdyno.latency import beyond, format_time, latency_pictures, read_latency
from heapdyno.run import RunError, read_run
from heapdyno.summary import summarize
from heapdyno.table import format_run

SVG = "{http://www.w3.org/2000/svg}"
HEADER = ("cell_id", "allocator", "config", "workload", "threads", "repetition", "operation", "size_bytes",
          "n", "percentile", "ns")
PERCENTILES = (0, 50, 90, 99, 99.9, 100)


def sample(allocator, repetition, p50, threads=1, **values):
    return golden.row(**{"pass": "latency", "allocator": allocator, "threads": threads,
                         "repetition": repetition, "lat_p50_ns": p50, "lat_p99_ns": p50 * 4,
                         "lat_p999_ns": p50 * 8, "lat_timer_median_ns": 30.0, "lat_timer_step_ns": 10.0,
                         "sample_every": 1024, **values})


def write_latencies(folder, samples, operations=("malloc",), tails=True, extra=()):
    """latency.csv with percentiles at 1, 2, 3 ... times the median of each row of samples."""
    with (folder / "latency.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        for s in samples:
            for operation in operations:
                for size in ("0..64", "all"):
                    for i, p in enumerate(PERCENTILES):
                        if tails or p != 99.9 or s["repetition"] == 1:
                            writer.writerow([s["cell_id"], s["allocator"], "", s["workload"], s["threads"],
                                             s["repetition"], operation, size, 5000, p,
                                             s["lat_p50_ns"] * (i + 1)])
        writer.writerows(extra)


@pytest.fixture
def run_of(tmp_path):
    def make(samples, **options):
        golden.write_run(tmp_path, samples)
        write_latencies(tmp_path, [s for s in samples if s["pass"] == "latency"], **options)
        return read_run(tmp_path)
    return make


def three(**values):
    return [sample("glibc", r, 40 + r, **values) for r in (1, 2, 3)]


def test_rows_count_by_their_row_of_samples(run_of):
    orphan = ("0123456789ab", "glibc", "", "larson", 1, 1, "malloc", "all", 5, 50, 1)
    failed = golden.row(**{"pass": "latency", "allocator": "arena", "threads": 1, "repetition": 1,
                           "status": "crash", "lat_p50_ns": 7})
    rows = read_latency(run_of(three() + [failed], extra=[orphan]))
    assert set(rows["label"]) == {"glibc"} and len(rows) == 3 * 2 * len(PERCENTILES)
    assert set(rows["comparison"]) == {"larson"}


def test_a_line_is_the_median_over_processes_below_the_maximum(run_of):
    (p,) = latency_pictures(run_of(three()))
    (line,) = p.lines
    assert line.percentiles == (0, 50, 90, 99, 99.9)
    assert line.values == (42, 84, 126, 168, 210)
    assert line.lows == (41, 82, 123, 164, 205) and line.highs == (43, 86, 129, 172, 215)
    assert [text for _, text in p.x_ticks] == ["0 %", "50 %", "90 %", "99 %", "99.9 %"]
    assert [at for at, _ in p.x_ticks] == pytest.approx([1, 2, 10, 100, 1000])
    assert p.timer_ns == 30 and p.y_limits[0] < 30
    for words in ("5000 samples a process", "median of n = 3 processes", "lowest to highest",
                  "steps by 10 ns"):
        assert words in p.caption


def test_a_percentile_that_one_process_has_not_is_left_out(run_of):
    (p,) = latency_pictures(run_of(three(), tails=False))
    assert p.lines[0].percentiles == (0, 50, 90, 99)


def test_the_most_threads_with_a_unit_each_are_drawn(run_of):
    samples = [sample("glibc", 1, 40 + t, threads=t, oversubscribed=int(t > 2)) for t in (1, 2, 4)]
    (p,) = latency_pictures(run_of(samples))
    assert p.threads == 2 and p.lines[0].values[0] == 42


def test_transactions_have_no_clock_line_and_name_their_rate(run_of):
    pictures = latency_pictures(run_of([sample("glibc", 1, 5000.0, rate_per_s=700)],
                                       operations=("malloc", "transaction")))
    assert [p.operation for p in pictures] == ["transaction", "malloc"]
    assert pictures[0].timer_ns is None and "700 transactions a second" in pictures[0].conditions
    assert "transactions a process" in pictures[0].caption


def test_a_run_without_latencies_has_no_picture(tmp_path):
    run = read_run(golden.write_run(tmp_path, golden.timed("glibc", 1, [1e6])))
    assert latency_pictures(run) == []


def test_what_cannot_be_trusted_is_refused(run_of, tmp_path):
    run = run_of(three())
    (tmp_path / "latency.csv").write_text("cell_id,repetition\nx,1\n")
    with pytest.raises(RunError, match="required columns are missing: operation"):
        read_latency(run)
    (tmp_path / "latency.csv").write_text("cell_id,repetition,operation,size_bytes,n,percentile,ns\n"
                                          "x,1,a,all,5,50,inf\n")
    with pytest.raises(RunError, match="ns holds something that is no finite number"):
        read_latency(run)


def test_the_summary_has_percentiles_of_the_latency_pass_alone(run_of):
    summary = summarize(run_of(three() + golden.timed("glibc", 1, [1e6])))
    medians = summary[summary["metric"].str.startswith("lat_")].set_index("metric")["median"].to_dict()
    assert medians == {"lat_p50_ns": 42, "lat_p99_ns": 168, "lat_p999_ns": 336}
    assert set(summary.loc[summary["metric"] == "lat_p50_ns", "pass"]) == {"latency"}


def test_below_the_table_stands_what_the_clock_costs_where_single_calls_are_timed(run_of):
    def text(**values):
        run = run_of(three(**values))
        return format_run(run, summarize(run), width=200)
    assert "have the clock's own cost in them, 30.0 ns" in text()
    assert "the clock's own cost" not in text(rate_per_s=1000)


def test_places_and_units():
    assert [beyond(p) for p in (0, 50, 90, 99.9)] == pytest.approx([1, 2, 10, 1000])
    assert [format_time(t) for t in (20, 1e3, 2.5e6, 1e9)] == ["20 ns", "1 µs", "2.5 ms", "1 s"]


def test_both_programs_draw_it(tmp_path):
    samples = [sample(a, r, 40.0 + r + 5 * i) for i, a in enumerate(("glibc", "arena", "null"))
               for r in (1, 2)]
    golden.write_run(tmp_path, samples + golden.timed("glibc", 1, [1e6]))
    write_latencies(tmp_path, samples)
    for command in (["python", SCRIPTS / "plot.py"], ["plot-gnuplot.sh"]):
        done = subprocess.run([SCRIPTS / command[0], *command[1:], tmp_path], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert all(line.startswith("plot: left out: ") for line in done.stderr.splitlines()), done.stderr
    for path in (tmp_path / "figures", tmp_path / "figures" / "gnuplot"):
        assert (path / "latency-malloc-larson.png").stat().st_size > 10000
        tree = ElementTree.parse(path / "latency-malloc-larson.svg")
        text = " ".join("".join(t.itertext()) for t in tree.iter(f"{SVG}text"))
        for words in ("larson: latency of malloc, 1 thread", "99.9 %", "100 ns", "median of n = 2 processes",
                      "glibc", "arena", "null (bound)"):
            assert words in text, (path, words)
    usage = subprocess.run(["gnuplot", "-e", f"run='{tmp_path}'; workload='larson'; operation='fish'",
                            SCRIPTS / "latency.gp"], capture_output=True, text=True)
    assert usage.returncode == 2 and "there are: larson/malloc" in usage.stderr


def line_of(text, label, heading):
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if heading in line)
    return next(line for line in lines[start:] if line.startswith(label + " ")).split()[1:]


def test_what_the_clock_cannot_see_crowns_nobody(tmp_path):
    """The step is the largest of all rows: 10 ns in one process does not vouch for another with 20."""
    samples = [sample(name, i + 1, p50, lat_timer_step_ns=10.0 if i else 20.0)
               for name, p50 in (("glibc", 30.0), ("arena", 49.0), ("scudo", 51.0)) for i in range(6)]
    run = read_run(golden.write_run(tmp_path, samples))
    text = format_run(run, summarize(run))
    shown = [line_of(text, name, "median latency")[0] for name in ("glibc", "arena", "scudo")]
    assert shown == ["30.0~±0%", "49.0~±0%", "51.0"]
    assert line_of(text, "glibc", "99th percentile")[0] == "120*±0%"
    assert "no more than the clock's step, 20 ns" in text


def test_the_caption_tells_the_range_of_the_clock_s_steps(run_of):
    (p,) = latency_pictures(run_of([sample("glibc", i, 40, lat_timer_step_ns=10.0 * i) for i in (1, 2)]))
    assert "steps by 10 to 20 ns" in p.caption


def test_tables_of_transactions_say_so_and_mark_what_was_missed(tmp_path):
    of_rate = {"rate_per_s": 5000, "transaction_ops": 100}
    samples = [sample(name, i, p50, missed_fraction=missed, **of_rate)
               for name, p50, missed in (("glibc", 9e6, 0.25), ("arena", 1e6, 0)) for i in (1, 2)]
    run = read_run(golden.write_run(tmp_path, samples))
    text = format_run(run, summarize(run))
    for name in ("median latency", "99th percentile of latency"):
        assert f"{name}, transactions of 100 operations, from when due, 5000 a second, " in text
    assert line_of(text, "glibc", "median latency") == ["9.00", "±0%#"]
    assert line_of(text, "arena", "median latency") == ["1.00*±0%"]
    assert "# up to 25 % of the transactions were not done by the end" in text and "clock's step" not in text
    of_calls = read_run(golden.write_run(tmp_path / "calls", [sample("glibc", 1, 30.0)]))
    assert "transactions" not in format_run(of_calls, summarize(of_calls))
