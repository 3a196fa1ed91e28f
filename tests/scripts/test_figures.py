"""Figures by matplotlib and gnuplot: there, of the right structure, and with one look."""
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree

import golden
import pytest
from conftest import SCRIPTS

from heapdyno import style
from heapdyno.draw import draw_overview, draw_picture, overview_title, spread
from heapdyno.picture import picture
from heapdyno.run import read_run
from heapdyno.summary import summarize

SVG = "{http://www.w3.org/2000/svg}"
ALLOCATORS = ("arena", "glibc", "jemalloc", "null")
THREADS = (1, 2, 4, 8)


def sweep(workloads=("larson", "prodcons"), **values):
    rows = []
    for workload in workloads:
        for i, name in enumerate(ALLOCATORS):
            for t in THREADS:
                rate = (i + 1) * 10e6 * min(t, 2)
                rows += golden.timed(name, t, [rate, rate * 1.1, rate * 0.9], workload=workload, **values)
                rows += golden.audit(name, t, (i + t) * golden.MIB, workload=workload, **values)
    return rows


def picture_of(folder, rows, comparison="larson", metric="ops_per_s", **options):
    run = read_run(golden.write_run(folder, rows, **options))
    return picture(run, summarize(run), comparison, metric)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A run drawn by both: a failed cell in the middle of a line, a name with a quote, a path with one."""
    folder = tmp_path_factory.mktemp("drawn") / "it's a run"
    rows = sweep()
    for t in THREADS:
        rows += (golden.failed("scudo", t, "timeout", "") if t == 4 else golden.timed("scudo", t, [5e6, 6e6]))
        rows += golden.timed("arena", t, [6e6, 7e6], config="A='b_c'")
    golden.write_run(folder, rows)
    for command in (["python", SCRIPTS / "plot.py"], ["plot-gnuplot.sh"]):
        done = subprocess.run([SCRIPTS / command[0], *command[1:], folder], capture_output=True, text=True)
        assert done.returncode == 0, command
        assert all(line.startswith("plot: left out: ") for line in done.stderr.splitlines()), done.stderr
        for name in done.stdout.splitlines():
            assert (folder.parent / name).stat().st_size > 1000
    return folder / "figures"


NAMES = [f"{figure}-{workload}.{kind}" for figure in ("throughput", "speedup", "peak-rss")
         for workload in ("larson", "prodcons") for kind in ("png", "svg")]


@pytest.mark.parametrize("name", NAMES + ["overview-throughput.png", "overview-throughput.svg",
                                          "overview-peak-rss.png", "overview-peak-rss.svg",
                                          *(f"gnuplot/{n}" for n in NAMES)])
def test_every_figure_is_written(drawn, name):
    data = (drawn / name).read_bytes()
    if name.endswith("png"):
        assert data.startswith(b"\x89PNG\r\n") and len(data) > 10000
    else:
        ElementTree.fromstring(data)


def line_colours_of_matplotlib(path):
    """{label: colour} of the lines, by the ids draw.py gives them."""
    colours = {}
    for group in ElementTree.parse(path).iter(f"{SVG}g"):
        if group.get("id", "").startswith("line-"):
            look = group.find(f"{SVG}path").get("style")
            colours[group.get("id")[5:]] = re.search(r"stroke: (#\w{6})", look).group(1).upper()
    return colours


def line_colours_of_gnuplot(path):
    """{title: colour} of the plots that have a title."""
    colours = {}
    for group in ElementTree.parse(path).iter(f"{SVG}g"):
        title = group.findtext(f"{SVG}title", "gnuplot")
        if group.get("id", "").startswith("gnuplot_plot") and not title.startswith("gnuplot"):
            strokes = [e.get("stroke") for e in group.iter(f"{SVG}path")]
            red, green, blue = re.findall(r"\d+", next(s for s in strokes if s))
            colours[title] = f"#{int(red):02X}{int(green):02X}{int(blue):02X}"
    return colours


def test_a_line_an_allocator_in_its_colour_by_matplotlib(drawn):
    colours = line_colours_of_matplotlib(drawn / "throughput-larson.svg")
    expected = style.looks([*ALLOCATORS, "scudo", "arena[A='b_c']"])
    assert colours == {label: look.colour for label, look in expected.items()}


def test_gnuplot_draws_the_same_lines_in_the_same_colours(drawn):
    for figure in ("throughput-larson", "throughput-prodcons", "peak-rss-larson"):
        by_gnuplot = line_colours_of_gnuplot(drawn / "gnuplot" / f"{figure}.svg")
        by_matplotlib = line_colours_of_matplotlib(drawn / f"{figure}.svg")
        assert {title.partition(" (")[0]: colour for title, colour in by_gnuplot.items()} == by_matplotlib


def pieces(path, name):
    """Number of unbroken pieces of a line in an SVG of either program, less the sample in gnuplot's key."""
    for group in ElementTree.parse(path).iter(f"{SVG}g"):
        title = group.find(f"{SVG}title")
        if group.get("id") == f"line-{name}":
            return group.find(f"{SVG}path").get("d").count("M")
        if title is not None and title.text == name:
            return sum(p.get("d").count("M") for p in group.iter(f"{SVG}path")) - 1
    return None


def test_a_failed_cell_breaks_the_line_in_both(drawn):
    for path in (drawn / "throughput-larson.svg", drawn / "gnuplot" / "throughput-larson.svg"):
        assert pieces(path, "scudo") == 2, path
        assert pieces(path, "glibc") == 1, path


def test_what_a_reader_must_know_is_on_the_figure(drawn):
    for path in (drawn / "throughput-larson.svg", drawn / "gnuplot" / "throughput-larson.svg"):
        text = " ".join("".join(t.itertext()) for t in ElementTree.parse(path).iter(f"{SVG}text"))
        for words in ("larson: throughput", "threads", "million operations per second", "oversubscribed",
                      "2 PUs", "median of n = 2 to 3 processes; band: lowest to highest",
                      "no value: scudo at 4 (timeout)", "testbox: Test CPU, 2 cores, 2 PUs",
                      "run golden", "min_bytes=8 max_bytes=1000"):
            assert words in text, (path, words)


def test_one_workload_has_no_overview(tmp_path, script):
    golden.write_run(tmp_path, sweep(["larson"]))
    done = script("plot.py", tmp_path, "--out", tmp_path / "elsewhere")
    assert done.returncode == 0
    names = {p.name for p in (tmp_path / "elsewhere").iterdir()}
    assert {"peak-rss-larson.png", "throughput-larson.svg"} <= names
    assert not any(name.startswith("overview") for name in names)


def test_the_same_run_gives_the_same_bytes(tmp_path, script):
    golden.write_run(tmp_path / "run", sweep(["larson"]))
    for out in ("a", "b"):
        assert script("plot.py", tmp_path / "run", "--out", tmp_path / out).returncode == 0
    for name in ("throughput-larson.svg", "throughput-larson.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_lines_are_ordered_by_their_right_end(tmp_path):
    p = picture_of(tmp_path, sweep())
    assert [line.label for line in p.lines] == ["null", "jemalloc", "glibc", "arena"]
    assert p.threads == THREADS
    assert p.lines[-1].values == (10, 20, 20, 20)
    assert p.lines[-1].lows == (9, 18, 18, 18) and p.lines[-1].highs == pytest.approx((11, 22, 22, 22))


def test_shading_begins_between_the_last_that_fits_and_the_first_that_does_not(tmp_path):
    assert picture_of(tmp_path, sweep()).shade_from == pytest.approx((2 * 4) ** 0.5)


def test_nothing_is_shaded_where_all_threads_fit(tmp_path):
    rows = golden.timed("glibc", 1, [1e6]) + golden.timed("glibc", 2, [1e6])
    assert picture_of(tmp_path, rows).shade_from is None


def test_linear_axis_begins_at_zero_and_leaves_a_far_reference_out(tmp_path):
    rows = sweep() + [r for t in THREADS for r in golden.timed("floor", t, [900e6])]
    p = picture_of(tmp_path, rows)
    assert not p.is_log and p.y_limits[0] == 0 and p.y_limits[1] < 100
    assert next(line.title for line in p.lines if line.label == "floor") == "floor (bound) (off scale: 900)"


def test_wide_spread_makes_the_axis_logarithmic(tmp_path):
    rows = sweep() + [r for t in THREADS for r in golden.timed("scudo", t, [1e6])]
    p = picture_of(tmp_path, rows)
    assert p.is_log and p.y_limits[0] < 1 and p.y_limits[1] > 80
    assert p.y_ticks == (1, 2, 5, 10, 20, 50, 100)


def test_ideal_is_the_best_single_thread_up_to_the_processing_units(tmp_path):
    assert picture_of(tmp_path / "a", sweep()).ideal == (30, 2)
    assert picture_of(tmp_path / "b", sweep(), metric="peak_rss_bytes").ideal == ()
    assert picture_of(tmp_path / "c", golden.timed("glibc", 2, [1e6])).ideal == ()


def test_a_line_that_ends_early_says_where(tmp_path):
    p = picture_of(tmp_path, sweep() + golden.timed("scudo", 1, [20e6]) + golden.timed("scudo", 2, [20e6]))
    assert next(line.title for line in p.lines if line.label == "scudo") == "scudo (to 2)"
    assert p.remark == "no value: scudo at 4,8 (not measured)"


def test_caption_tells_intervals_from_ranges(tmp_path):
    def caption(folder, n_glibc, n_arena):
        rows = golden.timed("glibc", 1, range(1, n_glibc + 1))
        rows += golden.timed("arena", 1, range(1, n_arena + 1))
        return picture_of(tmp_path / folder, rows).caption
    assert caption("a", 1, 1) == "one process a point (n = 1): the spread is unknown"
    assert caption("b", 6, 9) == ("median of n = 6 to 9 processes; "
                                  "bar: 95 % confidence interval of the median")
    assert caption("c", 3, 3) == "median of n = 3 processes; bar: lowest to highest"
    assert caption("d", 3, 9).endswith("95 % confidence interval, lowest to highest where n < 6")


def test_no_value_no_picture(tmp_path):
    assert picture_of(tmp_path, golden.failed("glibc", 1, "crash", "")) is None


def test_labels_are_moved_apart_as_little_as_can_be():
    assert spread([0.9, 0.5, 0.1], 0.1) == pytest.approx([0.9, 0.5, 0.1])
    assert spread([0.9, 0.5, 0.5, 0.1], 0.1) == pytest.approx([0.9, 0.55, 0.45, 0.1])
    assert spread([1, 1, 1], 0.1) == pytest.approx([1, 0.9, 0.8])
    assert spread([0, 0, 0], 0.1) == pytest.approx([0.2, 0.1, 0])


def test_gnuplot_says_what_it_lacks(tmp_path, script):
    golden.write_run(tmp_path, sweep(["larson"]))
    assert script("summarize.py", "--quiet", tmp_path).returncode == 0
    gp = SCRIPTS / "throughput.gp"
    usage = subprocess.run(["gnuplot", gp], capture_output=True, text=True)
    assert usage.returncode == 2 and "usage: gnuplot" in usage.stderr
    other = subprocess.run(["gnuplot", "-e", f"run='{tmp_path}'; workload='fish'", gp], capture_output=True,
                           text=True)
    assert other.returncode == 2
    assert "no values of ops_per_s for workload 'fish'" in other.stderr
    assert "there are: larson" in other.stderr


def test_gnuplot_is_installed():
    """The tests above must not pass by not running."""
    assert shutil.which("gnuplot")


def bars_of(axes):
    return [c for c in axes.collections if c.__class__.__name__ == "LineCollection"]


def test_with_one_thread_count_the_noise_is_a_bar_beside_those_of_the_others(tmp_path):
    rows = golden.timed("glibc", 2, [9e6, 10e6, 12e6]) + golden.timed("arena", 2, [10e6, 11e6, 13e6])
    p = picture_of(tmp_path, rows)
    assert p.caption == "median of n = 3 processes; bar: lowest to highest"
    bars = bars_of(draw_picture(p).axes[0])
    ends = sorted((b.get_segments()[0][0, 1], b.get_segments()[0][1, 1]) for b in bars)
    assert ends == [pytest.approx((9, 12)), pytest.approx((10, 13))]
    assert len({b.get_segments()[0][0, 0] for b in bars}) == 2
    assert [p.dodge(line) for line in p.lines] == pytest.approx([1 / 1.09, 1.09])


def test_a_point_between_gaps_has_a_bar_and_others_a_band(tmp_path):
    rows = [r for t in (1, 2, 8) for r in golden.timed("glibc", t, [9e6, 10e6])]
    rows += golden.failed("glibc", 4, "crash", "")
    p = picture_of(tmp_path, rows)
    assert p.lines[0].alone() == (8,)
    assert p.dodge(p.lines[0]) == 1
    assert len(bars_of(draw_picture(p).axes[0])) == 1


def test_gnuplot_draws_the_bars_too(tmp_path):
    rows = [r for name in ("glibc", "arena") for r in golden.timed(name, 2, [9e6, 10e6, 12e6])]
    golden.write_run(tmp_path / "bars", rows)
    golden.write_run(tmp_path / "none", [r for r in rows if r["repetition"] == 1])
    n_strokes = {}
    for name in ("bars", "none"):
        done = subprocess.run([SCRIPTS / "plot-gnuplot.sh", tmp_path / name], capture_output=True, text=True)
        assert done.returncode == 0 and done.stderr == ""
        svg = tmp_path / name / "figures" / "gnuplot" / "throughput-larson.svg"
        groups = ElementTree.parse(svg).iter(f"{SVG}g")
        plots = [g for g in groups if g.get("id", "").startswith("gnuplot_plot")]
        n_strokes[name] = sum(p.get("d").count("M") for g in plots for p in g.iter(f"{SVG}path"))
    assert n_strokes["bars"] >= n_strokes["none"] + 2 * 3  # bar and caps


def test_small_rates_have_a_unit_in_which_they_can_be_read(tmp_path):
    rows = [r for t in (1, 2) for r in golden.timed("glibc", t, [4.9 * t, 5.1 * t, 5 * t])]
    p = picture_of(tmp_path, rows)
    assert p.style.axis == "operations per second" and p.lines[0].values == (5, 10)
    assert picture_of(tmp_path / "k", golden.timed("glibc", 1, [9000])).style.axis.startswith("thousand")


def test_the_overview_names_the_units_where_they_differ(tmp_path):
    run = read_run(golden.write_run(tmp_path, golden.timed("glibc", 1, [5])
                                    + golden.timed("glibc", 1, [5e6], workload="robson")))
    pictures = [picture(run, summarize(run), c, "ops_per_s") for c in ("larson", "robson")]
    assert overview_title(pictures) == "throughput"
    titles = [a.get_title("left") for a in draw_overview(pictures).axes]
    assert titles == ["larson, operations per second", "robson, million operations per second"]
    assert overview_title(pictures[1:]) == "throughput, million operations per second"
