"""Memory over time: what is derived from samples whose answer is known, and its figures by both programs."""
import math
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import golden
import pytest
from conftest import SCRIPTS
from golden import MIB

from heapdyno.figures import all_figures
from heapdyno.draw_memory import draw_time_overview, draw_time_panel
from heapdyno.memory import derive
from heapdyno.memory_picture import bar_pictures, time_pictures
from heapdyno.run import RunError, read_run
from heapdyno.summary import summarize
from heapdyno.table import format_run

SVG = "{http://www.w3.org/2000/svg}"
BASE = golden.START_BYTES + golden.TABLE_BYTES


def ramp(peak_live, factor, end=0):
    """Up to the peak and down in 2 s, holding `factor` bytes for each byte live, then `end` for 2 s more."""
    up = [(t / 10, peak_live * t // 10, int(peak_live * t // 10 * factor), 0) for t in range(11)]
    down = [(1 + t / 10, peak_live * (10 - t) // 10, int(peak_live * factor), 0) for t in range(1, 11)]
    return up + down + [(2 + t / 10, 0, end, 0) for t in range(1, 21)]


def one(summary, metric, label):
    row, = summary[(summary["metric"] == metric) & (summary["label"] == label)].to_dict("records")
    return row["median"]


def two(folder):
    """glibc, which holds 1.5 bytes a live byte and keeps 3 MiB; arena, which holds 2 and keeps 40, 10, 1."""
    kept = {"glibc": (3, 3, 3), "arena": (40, 10, 1)}
    rows = {}
    for name, mibs in kept.items():
        moments = {f"retained_{m}_rss_bytes": mib * MIB + BASE for m, mib in zip(("100ms", "1s", "5s"), mibs)}
        rows[name], = golden.watched(name, 2, retained_rss_bytes=4096 + BASE, **moments)
    return golden.watched_run(folder, [(rows["glibc"], ramp(100 * MIB, 1.5, 3 * MIB)),
                                       (rows["arena"], ramp(100 * MIB, 2, 1 * MIB))])


def test_fragmentation_and_overhead_are_held_bytes_for_each_byte_live(tmp_path):
    summary = summarize(read_run(two(tmp_path)))
    for label, factor in (("glibc", 1.5), ("arena", 2)):
        assert one(summary, "fragmentation", label) == pytest.approx(factor)
        assert one(summary, "peak_overhead", label) == pytest.approx(factor)


def test_overhead_counts_a_peak_of_held_bytes_away_from_the_peak_of_live_ones(tmp_path):
    samples = ramp(100 * MIB, 1.5) + [(5, MIB, 300 * MIB, 0), (5.1, 0, 0, 0)]
    summary = summarize(read_run(golden.watched_run(tmp_path, [(golden.watched("glibc", 1)[0], samples)])))
    assert one(summary, "fragmentation", "glibc") == pytest.approx(1.5)
    assert one(summary, "peak_overhead", "glibc") == pytest.approx(3)


def test_retained_is_what_is_held_after_each_time(tmp_path):
    summary = summarize(read_run(two(tmp_path)))
    for label, kept in (("glibc", (3, 3, 3)), ("arena", (40, 10, 1))):
        for moment, mib in zip(("100ms", "1s", "5s"), kept):
            assert one(summary, f"retained_{moment}_bytes", label) == mib * MIB
        assert one(summary, "retained_end_bytes", label) == 4096


def test_what_was_not_measured_is_not_made_up(tmp_path):
    row, = golden.watched("glibc", 1, retained_1s_rss_bytes=MIB + BASE)
    summary = summarize(read_run(golden.watched_run(tmp_path, [(row, ramp(MIB, 2))])))
    assert one(summary, "retained_1s_bytes", "glibc") == MIB
    assert not set(summary["metric"]) & {"retained_5s_bytes", "retained_100ms_bytes", "drift_bytes"}


def churn(slope, n=100, per_generation=4, noise=(0, 3, -2, 5, -4), n_outliers=0):
    """Samples of threads that succeed each other: a start that falls, then `slope` bytes more a generation,
    with noise and some samples far off."""
    samples = []
    for i in range(n):
        generation = i // per_generation
        start = 50 * MIB // (generation + 1)
        held = start if generation < n // per_generation / 4 else 10 * MIB + slope * generation
        off = 30 * MIB if n_outliers and i % (n // n_outliers) == 7 else noise[i % len(noise)]
        samples.append((i / 100, 5 * MIB, held + off, generation))
    return samples + [(n / 100, 0, MIB, n // per_generation)]


def drift_of(folder, samples):
    row, = golden.watched("glibc", 1, workload="thread-churn")
    run = read_run(golden.watched_run(folder, [(row, samples)]))
    drift, = derive(run)["drift_bytes"]
    return drift


def test_the_table_has_the_drift(tmp_path):
    row, = golden.watched("glibc", 1, workload="thread-churn")
    run = read_run(golden.watched_run(tmp_path, [(row, churn(4000, noise=(0,)))]))
    text = format_run(run, summarize(run))
    assert re.search(r"drift, bytes held more with each .*\n.*\nthreads .*\nglibc +4000\n", text)


@pytest.mark.parametrize("slope", (4096, 0, -512))
def test_drift_is_bytes_a_generation_of_the_second_half(tmp_path, slope):
    assert drift_of(tmp_path, churn(slope)) == pytest.approx(slope, abs=2)


def test_some_samples_far_off_do_not_move_the_drift(tmp_path):
    assert drift_of(tmp_path, churn(4096, n=200, n_outliers=10)) == pytest.approx(4096, abs=10)


def test_a_long_run_has_the_drift_of_a_short_one(tmp_path):
    assert drift_of(tmp_path, churn(100, n=20000, per_generation=40)) == pytest.approx(100, abs=2)


def test_without_successors_or_with_few_samples_there_is_no_drift(tmp_path):
    few = churn(4096, n=36)  # of which less than 20 count
    for i, samples in enumerate((ramp(MIB, 2), few, [(i, 1, 1, 0) for i in range(100)] + [(100, 0, 0, 1)])):
        assert math.isnan(drift_of(tmp_path / str(i), samples)), i


def test_samples_that_are_missing_are_an_error_and_a_missing_file_is_a_warning(tmp_path):
    folder = two(tmp_path)
    lines = (folder / "rss.csv").read_text().splitlines(keepends=True)
    (folder / "rss.csv").write_text("".join(lines[:-3]))
    with pytest.raises(RunError, match="38 samples of cell .*, but samples.csv says 41"):
        derive(read_run(folder))
    (folder / "rss.csv").unlink()
    run = read_run(folder)
    derive(run)
    assert [w.name for w in run.warnings].count("no-rss") == 1
    assert time_pictures(run) == []


def test_a_run_whose_watched_cells_were_all_skipped_is_summarized_and_drawn(tmp_path, script):
    skipped = golden.row(**{"pass": "rss", "status": "skip", "why": "too large"})
    folder = golden.write_run(tmp_path, [skipped] + golden.audit("glibc", 1, MIB))
    golden.write_series(folder, [])
    run = read_run(folder)
    assert time_pictures(run) == [] and bar_pictures(run, summarize(run)) == []
    assert script("summarize.py", folder).returncode == 0
    assert drawn_by_both(folder)


def test_the_table_has_fragmentation_and_what_is_kept_longest(tmp_path):
    run = read_run(two(tmp_path))
    text = format_run(run, summarize(run))
    assert "robson: fragmentation, bytes held for each byte live at the peak" in text
    assert "MiB held 5 s after" in text and "MiB held 1 s after" not in text
    assert text.count("retained: median of n = 1 processes") == 1
    assert re.search(r"fragmentation.*\n.*\nthreads .*\narena +2\.00\nglibc +1\.50\n", text)


def drawn_by_both(folder):
    for script in ("plot-gnuplot.sh", "python"):
        command = [SCRIPTS / script] + [SCRIPTS / "plot.py"] * (script == "python") + [folder]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert script == "python" or done.stderr == ""
    return [folder / "figures", folder / "figures" / "gnuplot"]


def words(path):
    return " ".join("".join(t.itertext()) for t in ElementTree.parse(path).iter(f"{SVG}text"))


def colours(path):
    """All colours of an SVG, as #RRGGBB."""
    text = path.read_text().upper()
    triples = re.findall(r"RGB\( *(\d+), *(\d+), *(\d+)\)", text)
    return set(re.findall(r"#[0-9A-F]{6}", text)) | {"#%02X%02X%02X" % tuple(map(int, t)) for t in triples}


def test_both_programs_draw_memory_over_time_and_what_is_retained(tmp_path):
    folder = two(tmp_path / "a run")
    for figures in drawn_by_both(folder):
        assert (figures / "memory-robson-2t.png").stat().st_size > 10000
        over_time = figures / "memory-robson-2t.svg"
        for expected in ("robson, 2 threads: memory held over time", "MiB held", "seconds", "arena", "glibc",
                         "grey: live bytes, as with", "run golden"):
            assert expected in words(over_time), (over_time, expected)
        assert {"#000000", "#D55E00", "#D9D5CC"} <= colours(over_time)
        retained = figures / "retained-robson-2t.svg"
        for expected in ("memory retained after everything was freed", "arena", "glibc",
                         "MiB held, from top to bottom: 0.1 s, 1 s, 5 s, threads ended",
                         "n = 1: the spread is unknown"):
            assert expected in words(retained), (retained, expected)
        assert {"#000000", "#D55E00"} <= colours(retained)


def test_a_bound_above_all_that_compete_is_cut_off_and_says_its_value(tmp_path):
    marks = {f"retained_{m}_rss_bytes": 4 * MIB + BASE for m in ("100ms", "1s")}
    rows = [(golden.watched("glibc", 1, **marks)[0], ramp(MIB, 2)),
            (golden.watched("null", 1, **{**marks, "retained_1s_rss_bytes": 900 * MIB + BASE})[0],
             ramp(MIB, 500))]
    run = read_run(golden.watched_run(tmp_path, rows))
    curve = next(c for c in time_pictures(run)[0].curves if c.label == "null")
    assert curve.title == "null (bound) (off scale: 500)"
    bars, = bar_pictures(run, summarize(run))
    assert [title for _, title, _, _ in bars.bars] == ["glibc", "null (bound) (off scale: 900)"]
    assert bars.top == pytest.approx(4.4)


def test_the_peak_of_live_bytes_is_a_mark_only_where_it_is_near(tmp_path):
    def picture(live, kept):
        row, = golden.watched("glibc", 1, retained_1s_rss_bytes=kept + BASE)
        run = read_run(golden.watched_run(tmp_path, [(row, ramp(live, 2))]))
        return bar_pictures(run, summarize(run))[0]
    assert picture(10 * MIB, 10 * MIB).shows_live and picture(10 * MIB, 10 * MIB).right == pytest.approx(11)
    assert not picture(100 * MIB, 10 * MIB).shows_live
    assert picture(100 * MIB, 10 * MIB).right == pytest.approx(11)


def test_both_programs_draw_the_heat_map_and_the_trade_off(tmp_path):
    rows = []
    for name, rate, peak in (("glibc", 10e6, 10), ("arena", 20e6, 12), ("jemalloc", 5e6, 30)):
        rows += golden.timed(name, 2, [rate * f for f in (1, 1.01, 0.99, 1.02, 0.98, 1)])
        rows += golden.audit(name, 2, peak * MIB)
    folder = golden.write_run(tmp_path / "it's a run", rows)
    for figures in drawn_by_both(folder):
        heat, points = figures / "ratios-throughput.svg", figures / "tradeoff-larson.svg"
        for expected in ("as a multiple of glibc's", "2.00", "0.50", "larson, 2", "hatched: not told apart"):
            assert expected in words(heat), (heat, expected)
        for expected in ("throughput against peak RSS, 2 threads",
                         "million operations per second (up is better)", "glibc", "arena",
                         "jemalloc", "MiB (left is better)"):
            assert expected in words(points), (points, expected)
        assert {"#000000", "#D55E00", "#0072B2"} <= colours(points)
        for name in ("ratios-peak-rss", "ratios-throughput", "tradeoff-larson"):
            assert (figures / f"{name}.png").stat().st_size > 10000
    assert {"ratios-throughput", "tradeoff-larson"} <= {
        f.name for f in all_figures(read_run(folder), summarize(read_run(folder)))}


def test_gnuplot_says_which_figures_there_are(tmp_path, script):
    folder = two(tmp_path)
    assert script("summarize.py", "--quiet", folder).returncode == 0
    usage = subprocess.run(["gnuplot", SCRIPTS / "memory.gp"], capture_output=True, text=True)
    assert usage.returncode == 2 and "usage: gnuplot" in usage.stderr
    other = subprocess.run(["gnuplot", "-e", f"run='{folder}'; figure='memory-fish'", SCRIPTS / "memory.gp"],
                           capture_output=True, text=True)
    assert other.returncode == 2 and "there are: memory-robson-2t retained-robson-2t" in other.stderr


def test_without_live_bytes_nothing_speaks_of_grey(tmp_path):
    row, = golden.watched("glibc", 1, rss_samples=3)
    folder = golden.write_run(tmp_path, [row])
    golden.write_series(folder, [(row, [(0.1, "", MIB, 0), (1, "", 3 * MIB, 0), (2, "", MIB, 0)])])
    p, = time_pictures(read_run(folder))
    assert p.live is None and "grey" not in p.caption
    for figure in (draw_time_panel(p), draw_time_overview([p])):
        assert not any("grey" in text.get_text() for text in figure.texts)
    subprocess.run([sys.executable, SCRIPTS / "summarize.py", folder], check=True, capture_output=True)
    drawn = subprocess.run(["gnuplot", "-e", f"run='{folder}'; figure='{p.name}'", SCRIPTS / "memory.gp"],
                           capture_output=True, text=True)
    assert drawn.returncode == 0 and drawn.stderr == ""
