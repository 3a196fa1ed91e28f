"""The figures beyond a metric against threads: what they decide before anything is drawn, and that they are
drawn."""
import golden
import pytest

from heapdyno import contrast, drift, tradeoff
from heapdyno.draw_contrast import draw_heat
from heapdyno.figures import Drawing, LeftOut, all_figures
from heapdyno.picture import picture
from heapdyno.ratio import ratio_of
from heapdyno.run import read_run
from heapdyno.summary import summarize

SIX = (1, 1.02, 0.98, 1.01, 0.99, 1.005)


def cell(name, threads, rate, peak_mib, **values):
    noise = SIX if name != "jemalloc" else SIX[::-1]  # which is not glibc's
    return (golden.timed(name, threads, [rate * f for f in noise], **values)
            + golden.audit(name, threads, peak_mib * golden.MIB, **values))


def read(folder, rows, **options):
    run = read_run(golden.write_run(folder, rows, **options))
    return run, summarize(run)


def four():
    """glibc, one twice as fast, one not told apart, one slower; 8 threads are oversubscribed."""
    return (cell("glibc", 2, 10e6, 10) + cell("arena", 2, 20e6, 12) + cell("jemalloc", 2, 10.01e6, 30)
            + cell("scudo", 2, 5e6, 5) + cell("arena", 8, 500e6, 1) + cell("glibc", 8, 1e6, 1))


def test_ratios_are_against_glibc_at_the_largest_count_that_fits(tmp_path):
    c = contrast.contrast(*read(tmp_path, four()), "ops_per_s")
    assert c.reference == "glibc" and c.threads == {"larson": 2}
    assert c.labels == ("arena", "jemalloc", "scudo")
    assert c.ratios["arena", "larson"].value == pytest.approx(2)
    assert {b for b in c.labels if contrast.is_decided(c.ratios[b, "larson"])} == {"arena", "scudo"}
    assert c.is_better(c.ratios["arena", "larson"]) and not c.is_better(c.ratios["scudo", "larson"])


def test_without_repetitions_nothing_is_decided(tmp_path):
    rows = golden.timed("glibc", 1, [1e6, 1.1e6]) + golden.timed("arena", 1, [9e6, 9.1e6])
    c = contrast.contrast(*read(tmp_path, rows), "ops_per_s")
    assert not contrast.is_decided(c.ratios["arena", "larson"])


def test_the_heat_map_hatches_what_is_not_told_apart(tmp_path):
    c = contrast.contrast(*read(tmp_path, four()), "ops_per_s")
    patches = draw_heat(c, "machine").axes[0].patches
    assert [p.get_gid() for p in patches] == ["decided", "undecided", "decided"]
    assert [bool(p.get_hatch()) for p in patches] == [False, True, False]


def test_many_workloads_go_downwards(tmp_path):
    rows = [r for i in range(12) for label, rate in (("glibc", 1e6), ("arena", (i + 1) * 1e6))
            for r in golden.timed(label, 1, [rate], workload=f"w{i:02}")]
    axes = draw_heat(contrast.contrast(*read(tmp_path, rows), "ops_per_s"), "machine").axes[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == [f"w{i:02}, 1" for i in range(12)]
    assert [(t.get_position(), t.get_text()) for t in axes.texts] == [
        ((0, i), f"{i + 1:.2f}") for i in range(12)]


def test_less_memory_is_better(tmp_path):
    c = contrast.contrast(*read(tmp_path, four()), "peak_rss_bytes")
    assert c.is_better(c.ratios["scudo", "larson"]) and not c.is_better(c.ratios["arena", "larson"])


def test_the_front_holds_those_that_none_beats_in_both(tmp_path):
    _, summary = read(tmp_path, four())
    t = tradeoff.tradeoff(summary, "larson")
    assert t.threads == 2 and t.front == ("scudo", "glibc", "arena")
    assert {p.label for p in t.points} == {"glibc", "arena", "jemalloc", "scudo"}


def in_time(drifts_by):
    rows = []
    for i in range(10):
        for name in ("glibc", "arena"):
            for threads in range(1, 6):
                start = (i * 10 + threads) * 10 ** 9
                rate = (1 + drifts_by * i / 9) * SIX[(i + threads) % 6] * 1e6
                rows += [golden.row(allocator=name, threads=threads, repetition=i + 1, ops_per_s=rate,
                                    start_unix_ns=start)]
    return rows


def test_drift_is_seen_where_there_is_one_and_only_there(tmp_path):
    still = drift.drift(read_run(golden.write_run(tmp_path / "a", in_time(0))))
    slower = drift.drift(read_run(golden.write_run(tmp_path / "b", in_time(-0.2))))
    assert still.low <= 0 <= still.high and "no drift is shown" in drift.slope_text(still)
    assert -26 < slower.slope < -18 and slower.high < 0 and "drifted" in drift.slope_text(slower)
    assert slower.n_cells == 10 and len(slower.points) == 100


def test_fairness_is_the_slowest_over_the_fastest(tmp_path):
    rows = golden.timed("glibc", 2, [1e6, 1e6, 1e6], min_thread_ops=50, max_thread_ops=100)
    rows += golden.timed("glibc", 1, [1e6], min_thread_ops=7, max_thread_ops=7)
    run, summary = read(tmp_path, rows)
    p = picture(run, summary, "larson", "fairness")
    assert p.threads == (2,) and p.lines[0].values == (0.5,) and p.y_limits[0] == 0


def test_speedup_has_slope_one_for_its_ideal(tmp_path):
    run, summary = read(tmp_path, cell("glibc", 1, 10e6, 1) + cell("glibc", 2, 15e6, 1))
    p = picture(run, summary, "larson", "speedup")
    assert p.ideal == (1, 2) and p.lines[0].values == pytest.approx((1, 1.5)) and p.fits == ()


def test_the_law_is_drawn_where_there_are_points_enough(tmp_path):
    rows = [r for t in (1, 2, 4, 8) for r in cell("glibc", t, 10e6 * t / (1 + 0.1 * (t - 1)), 1,
                                                  oversubscribed=0)]
    run, summary = read(tmp_path, rows, topology=golden.topology_xml(n_cores=8))
    fit, = picture(run, summary, "larson", "ops_per_s").fits
    assert fit.base == pytest.approx(10, rel=0.01) and fit.sigma == pytest.approx(0.1, rel=0.05)
    assert (fit.low, fit.high) == (1, 8)
    assert "fitted to 8 threads" in picture(run, summary, "larson", "speedup").caption


def test_all_are_drawn_and_what_is_not_has_a_reason(tmp_path):
    run, summary = read(tmp_path / "a", four())
    found = all_figures(run, summary)
    drawn = {d.name for d in found if isinstance(d, Drawing)}
    assert {"ratios-throughput", "forest-throughput", "ratios-peak-rss", "forest-peak-rss",
            "tradeoff-larson", "throughput-larson", "peak-rss-larson"} <= drawn
    for d in found:
        if isinstance(d, Drawing) and not d.name.startswith(("throughput", "peak-rss")):
            assert d.draw().axes and d.text
    left = {f.name: f.why for f in found if isinstance(f, LeftOut)}
    assert "no allocator was measured with one thread" in left["speedup-larson"]
    assert "not recorded" in left["run-order"] and "fairness-larson" in left
    run, summary = read(tmp_path / "b", golden.timed("glibc", 1, [1e6]))
    left = {f.name: f.why for f in all_figures(run, summary) if isinstance(f, LeftOut)}
    assert "one allocator alone" in left["ratios-throughput, forest-throughput"]
    assert "fewer than two allocators" in left["tradeoff-larson"]


def test_no_ratio_is_made_of_windows_in_which_nothing_was_done():
    idle, busy = dict.fromkeys(range(8), 0.0), dict.fromkeys(range(8), 5.0)
    idle[7] = 3.0
    for cell in ({"a": idle, "b": busy}, {"a": busy, "b": idle}):
        assert ratio_of(cell, "a", "b", ("larson", 2)) is None
    ratio = ratio_of({"a": busy | {0: 0.0}, "b": busy | {1: 0.0}}, "a", "b", ("larson", 2))
    assert ratio.value == 1 and ratio.low <= 1 <= ratio.high
