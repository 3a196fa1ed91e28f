import golden
import pytest

from heapdyno.run import read_run
from heapdyno.summary import summarize
from heapdyno import table
from heapdyno.table import WIDTH, format_run, three_digits


def text_of(folder, rows, **options):
    run = read_run(golden.write_run(folder, rows, **options))
    return format_run(run, summarize(run))


def cells(text, label, heading="throughput"):
    """The words of the line of `label` in the first table with that heading."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if heading in line)
    return next(line for line in lines[start:] if line.startswith(label + " ")).split()[1:]


@pytest.mark.parametrize("value, text", [
    (0, "0"), (0.0123456, "0.0123"), (0.9999, "1.00"), (1, "1.00"), (9.996, "10.0"), (12.345, "12.3"),
    (99.96, "100"), (123.4, "123"), (1234.5, "1230"), (99950, "100000")])
def test_three_digits(value, text):
    assert three_digits(value) == text


def test_value_best_and_noise(tmp_path):
    rows = golden.timed("glibc", 1, [9e6, 10e6, 11e6]) + golden.timed("arena", 1, [19e6, 20e6, 22e6])
    text = text_of(tmp_path, rows)
    assert cells(text, "arena") == ["20.0*±8%"]
    assert cells(text, "glibc") == ["10.0", "±10%"]
    assert "median of n = 3 processes; ± half the range" in text


def test_what_overlaps_with_the_best_is_said_to_be_indistinguishable(tmp_path):
    rows = golden.timed("glibc", 1, [9e6, 10e6, 11e6]) + golden.timed("arena", 1, [10e6, 12e6, 14e6])
    text = text_of(tmp_path, rows)
    assert cells(text, "arena") == ["12.0*±17%"]
    assert cells(text, "glibc") == ["10.0~±10%"]


def test_with_enough_values_the_interval_decides_and_not_the_range(tmp_path):
    tight = [10e6, 10.1e6, 10.2e6, 10.3e6, 10.4e6, 10.5e6, 10.6e6, 10.7e6, 99e6]
    rows = golden.timed("glibc", 1, tight) + golden.timed("arena", 1, [2 * v for v in tight])
    text = text_of(tmp_path, rows)
    assert cells(text, "glibc") == ["10.4", "±3%"]
    assert "95 % confidence interval" in text


def test_one_value_shows_no_noise(tmp_path):
    text = text_of(tmp_path, golden.timed("glibc", 1, [10e6]) + golden.timed("arena", 1, [20e6]))
    assert cells(text, "glibc") == ["10.0"]
    assert "one value has no noise to show" in text


def test_references_are_never_best_and_hide_nobody(tmp_path):
    rows = golden.timed("null", 1, [900e6]) + golden.timed("null", 1, [950e6], config="A=b")
    rows += golden.timed("glibc", 1, [10e6] * 2) + golden.timed("arena", 1, [20e6] * 2)
    text = text_of(tmp_path, rows)
    assert cells(text, "null") == ["900"]
    assert cells(text, "null[A=b]") == ["950"]
    assert cells(text, "arena") == ["20.0*±0%"]
    assert text.splitlines()[-1].startswith("  null and floor are references")


def test_alone_nobody_is_best(tmp_path):
    rows = golden.timed("null", 1, [900e6]) + golden.timed("glibc", 1, [10e6])
    assert cells(text_of(tmp_path, rows), "glibc") == ["10.0"]


def test_failures_are_shown_by_status_and_reason(tmp_path):
    rows = golden.timed("glibc", 1, [10e6]) + golden.timed("arena", 1, [20e6])
    rows += golden.failed("scudo", 1, "timeout", "no result after 60 s", n=2)
    text = text_of(tmp_path, rows)
    assert cells(text, "scudo") == ["timeout"]
    assert "scudo timeout 2x (larson at 1 threads): no result after 60 s" in text


def test_the_fastest_is_not_best_if_a_repetition_crashed(tmp_path):
    rows = [r for name, rate in (("glibc", 10e6), ("jemalloc", 20e6), ("arena", 90e6))
            for r in golden.timed(name, 1, [rate] * 2)]
    rows.append(golden.row(allocator="arena", repetition=3, status="crash", why="signal 11"))
    text = text_of(tmp_path, rows)
    assert cells(text, "arena") == ["90.0", "±0%!"]
    assert cells(text, "jemalloc") == ["20.0*±0%"]
    assert "! some repetitions failed" in text


def test_threads_that_never_ran_together(tmp_path):
    text = text_of(tmp_path, golden.timed("glibc", 1, [10e6]) + golden.timed("glibc", 64, ["", ""]))
    assert cells(text, "glibc") == ["10.0", "none"]
    assert "none: the threads never all ran together" in text


def test_peak_rss_smallest_is_best(tmp_path):
    rows = [r for i in (1, 2) for name, mib in (("glibc", 4), ("arena", 3))
            for r in golden.audit(name, 1, mib * golden.MIB, repetition=i)]
    text = text_of(tmp_path, rows)
    assert cells(text, "arena", "peak RSS") == ["3.00*±0%"]
    assert cells(text, "glibc", "peak RSS") == ["4.00", "±0%"]


def test_of_single_values_nobody_is_best(tmp_path):
    rows = golden.timed("glibc", 1, [10e6]) + golden.timed("arena", 1, [20e6])
    rows += golden.audit("glibc", 1, 4 * golden.MIB) + golden.audit("arena", 1, 3 * golden.MIB)
    text = text_of(tmp_path, rows)
    assert cells(text, "arena") == ["20.0"]
    assert cells(text, "arena", "peak RSS") == ["3.00"]


def test_memory_after_different_work_has_no_best(tmp_path):
    rows = golden.audit("glibc", 1, 4 * golden.MIB, ops_target=5) + golden.audit("arena", 1, 3 * golden.MIB)
    assert cells(text_of(tmp_path, rows), "arena", "peak RSS") == ["3.00"]


def test_incomplete_run_says_so(tmp_path):
    rows = golden.timed("glibc", 1, [10e6, 11e6]) + golden.timed("glibc", 2, [20e6])
    rows += golden.timed("arena", 1, [9e6])
    text = text_of(tmp_path, rows, n_planned=12)
    assert "INCOMPLETE: 4 of 12 planned processes were measured" in text
    assert cells(text, "arena") == ["9.00", "-"]
    assert "  - not measured" in text


def test_run_of_other_passes_has_no_table(tmp_path):
    text = text_of(tmp_path, golden.timed("glibc", 1, [10e6], **{"pass": "latency"}))
    assert "throughput" not in text


def test_complete_run_does_not(tmp_path):
    assert "INCOMPLETE" not in text_of(tmp_path, golden.timed("glibc", 1, [10e6]))


def test_oversubscription_is_marked(tmp_path):
    text = text_of(tmp_path, golden.timed("glibc", 2, [10e6]) + golden.timed("glibc", 4, [10e6]))
    assert cells(text, "threads") == ["2", "4+"]
    assert "more threads than processing units (2)" in text


def test_nine_allocators_and_seven_thread_counts_fit_the_width(tmp_path):
    rows = []
    names = ["arena", "glibc", "jemalloc", "mimalloc", "tcmalloc", "tbbmalloc", "scudo", "null"]
    for t in (1, 2, 4, 8, 16, 32, 64):
        for name in names:
            rows += golden.timed(name, t, [100e6, 123456789, 140e6])
        rows += golden.timed("arena", t, [0.0012e6, 0.01e6, 0.02e6],
                             config="MALLOC_CONF=tcache:false,narenas:1")
    lines = text_of(tmp_path, rows).splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert sum(line.startswith("threads") for line in lines) == 1


def test_more_thread_counts_go_into_a_second_block(tmp_path):
    rows = [r for t in range(1, 30) for r in golden.timed("glibc", t, [100e6, 140e6])]
    lines = text_of(tmp_path, rows).splitlines()
    assert max(map(len, lines)) <= WIDTH
    heads = [line.split()[1:] for line in lines if line.startswith("threads")]
    assert len(heads) > 1
    assert [t.rstrip("+") for head in heads for t in head] == [str(t) for t in range(1, 30)]


def test_shared_lines_are_shown_where_measured_and_equal_values_are_all_best(tmp_path):
    rows = []
    for name, share in (("glibc", 0), ("arena", 0), ("tcmalloc", 0.5)):
        rows += golden.audit(name, 2, 1 << 20, shared_line_fraction=share)
    text = text_of(tmp_path / "measured", rows)
    shown = {name: cells(text, name, "64-byte lines") for name in ("glibc", "arena", "tcmalloc")}
    assert shown == {"glibc": ["0*"], "arena": ["0*"], "tcmalloc": ["50.0"]}
    assert "64-byte lines" not in text_of(tmp_path / "none", golden.audit("glibc", 2, 1 << 20))


def test_the_unit_of_throughput_is_one_that_can_be_read():
    assert table.title_and_scale("ops_per_s", [20e6, 12e3]) == (
        "throughput, million operations per second (more is better)", 1e6)
    assert table.title_and_scale("ops_per_s", [20e6, 4.9e3, float("nan"), 0])[1] == 1e3
    title, scale = table.title_and_scale("ops_per_s", [4.9, 7.1])
    assert title == "throughput, operations per second (more is better)" and scale == 1
    assert table.title_and_scale("ops_per_s", [float("nan")])[1] == 1e6
    assert table.title_and_scale("peak_rss_bytes", [5.0])[1] == table.MIB


def test_the_unit_of_latencies_is_one_that_can_be_read():
    def unit(*values):
        title, scale = table.title_and_scale("lat_p99_ns", values)
        return title.partition(", ")[2].split()[0], scale
    assert unit(10.2e6, 932e6) == ("ms", 1e6)
    assert unit(932e3, 948e3, float("nan")) == ("µs", 1e3)
    assert unit(20, 948e3) == ("ns", 1) and unit(0.5) == ("ns", 1) and unit() == ("ns", 1)


def counted(allocator, threads, ops, **calls):
    """One row of the pass under strace; names of CALLS that are not given were never called."""
    columns = dict.fromkeys(("sys_mmap", "sys_munmap", "sys_mremap", "sys_madvise", "sys_mprotect", "sys_brk",
                             "sys_futex", "sys_sched_yield"), 0)
    columns.update({f"sys_{name}": n for name, n in calls.items()})
    return golden.row(**{"allocator": allocator, "threads": threads, "pass": "syscalls", "ops": ops,
                         "syscalls": sum(calls.values()) + 1, **columns})


def test_system_calls_stand_by_name_for_each_thousand_operations(tmp_path):
    rows = [counted("glibc", 1, 100000, mmap=5000, munmap=250, brk=3),
            counted("arena", 1, 100000, madvise=1), counted("glibc", 4, 50000, futex=50),
            golden.row(**{"allocator": "arena", "threads": 4, "pass": "syscalls", "status": "timeout"})]
    lines = text_of(tmp_path, rows).splitlines()
    start = lines.index("larson: system calls for each thousand operations, by name; all has every name "
                        "(fewer is better)")
    table_lines = [line.split() for line in lines[start + 2:start + 7]]
    names = ["all", "mmap", "munmap", "mremap", "madvise", "mprotect", "brk", "futex", "sched_yield"]
    assert table_lines == [
        ["1", "thread", *names],
        ["arena", "0.0200", "0", "0", "0", "0.0100", "0", "0", "0", "0"],
        ["glibc", "52.5", "50.0", "2.50", "0", "0", "0", "0.0300", "0", "0"],
        ["4", "threads+", *names],
        ["glibc", "1.02", "0", "0", "0", "0", "0", "0", "1.00", "0"]]
    assert len({len(line) for line in lines[start + 2:start + 7]}) == 1
    assert any("system calls: median of n = 1 processes under strace" in line for line in lines)
    assert any("arena timeout 1x (larson at 4 threads)" in line for line in lines)


def test_without_the_pass_there_is_no_table_of_system_calls(tmp_path):
    text = text_of(tmp_path, golden.timed("glibc", 1, [1e6], syscalls=12, sys_mmap=3, ops=100))
    assert "system calls" not in text


def test_what_an_older_run_did_not_count_is_a_gap_and_not_zero(tmp_path):
    row = counted("glibc", 1, 1000, mmap=1)
    row["sys_futex"] = ""
    line = next(line for line in text_of(tmp_path, [row]).splitlines() if line.startswith("glibc"))
    assert line.split() == ["glibc", "2.00", "1.00", "0", "0", "0", "0", "0", "-", "0"]


def retained(allocator, mibs):
    base = golden.START_BYTES + golden.TABLE_BYTES
    return [row for i, mib in enumerate(mibs)
            for row in golden.watched(allocator, 2, repetition=i + 1, rss_samples=0,
                                      retained_5s_rss_bytes=base + mib * golden.MIB)]


def test_what_is_retained_near_zero_crowns_nobody(tmp_path):
    """Two processors keep back up to 64 pages each: 0.5 MiB."""
    rows = retained("arena", [-0.0547] * 6) + retained("glibc", [0.4375] * 6) + retained("scudo", [9] * 6)
    text = text_of(tmp_path, rows)
    shown = {name: cells(text, name, "retained")[0] for name in ("arena", "glibc", "scudo")}
    assert shown == {"arena": "-0.0547~±0%", "glibc": "0.438~±0%", "scudo": "9.00"}
    assert "can lag, 0.5 MiB" in text
    text = text_of(tmp_path / "apart", rows[:6] + rows[12:])
    assert cells(text, "arena", "retained") == ["-0.0547*±0%"]


def test_uneven_bounds_are_shown_by_their_ends(tmp_path):
    rows = golden.timed("glibc", 1, [90e6, 366e6, 11000e6]) + golden.timed("arena", 1, [900e6, 950e6, 1000e6])
    text = text_of(tmp_path, rows)
    assert cells(text, "glibc") == ["366~[90.0,11000]"] and cells(text, "arena") == ["950*±5%"]
    assert "[low,high] the ends themselves" in text
    below = text_of(tmp_path / "below", retained("arena", [-1, 1, 3]) + retained("glibc", [7, 8, 9]))
    assert cells(below, "arena", "retained") == ["1.00*[-1.00,3.00]"]
    assert "[low,high]" not in text_of(tmp_path / "even", rows[3:])


def test_the_legend_speaks_of_intervals_only_where_there_are_some(tmp_path):
    def legend(name, *ns):
        rows = [r for t, n in enumerate(ns) for a in ("glibc", "arena")
                for r in golden.timed(a, t + 1, [1e6] * n)]
        return text_of(tmp_path / name, rows)
    few = legend("few", 2)
    assert "with n < 6 nobody is shown best" in few and "its interval" not in few
    assert "* best median; ~ its interval overlaps" in legend("many", 6)
    assert "or its range where n < 6" in " ".join(legend("both", 2, 6).split())
    assert "* best" not in legend("one", 1)
