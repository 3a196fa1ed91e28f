"""What the report says of each allocator: only what the intervals show."""
import golden
import pytest

from heapdyno.run import read_run
from heapdyno.standing import ASPECTS, Standing, headline, in_words, judge, ratio_range
from heapdyno.summary import summarize

SPEED, MEMORY = ASPECTS
SEVEN = [1.00, 1.01, 0.99, 1.02, 0.98, 1.005, 0.995]


def around(name, rate, threads=1, n=7, **values):
    return golden.timed(name, threads, [rate * f for f in SEVEN[:n]], **values)


def judged_of(folder, rows, aspect=SPEED):
    judged = judge(summarize(read_run(golden.write_run(folder, rows))), aspect)
    counts = {r.label: {s.value: n for s, n in r.counts.items() if n} for r in judged.records}
    return counts, headline(judged), judged.records


def test_disjoint_intervals_show_a_best_and_one_behind(tmp_path):
    counts, text, records = judged_of(tmp_path, around("arena", 20e6) + around("glibc", 10e6))
    assert counts == {"arena": {"best": 1}, "glibc": {"behind": 1}}
    assert text == "arena is shown fastest in 1 of 1 cell."
    assert in_words(records[1], SPEED) == "behind in 1"
    assert (ratio_range(records[0]), ratio_range(records[1])) == ("1", "0.5")


def test_overlapping_intervals_show_nothing(tmp_path):
    counts, text, _ = judged_of(tmp_path, around("arena", 20e6) + around("glibc", 19.9e6)
                                + around("scudo", 5e6))
    assert counts == {"arena": {"open": 1}, "glibc": {"open": 1}, "scudo": {"behind": 1}}
    assert text == "No allocator is shown fastest in any of 1 cell: this run cannot tell the leaders apart."


@pytest.mark.parametrize("n", [1, 5])
def test_too_few_values_cannot_tell_however_far_apart(tmp_path, n):
    counts, text, _ = judged_of(tmp_path, around("arena", 20e6, n=n) + around("glibc", 10e6, n=n))
    assert counts == {"arena": {"unknown": 1}, "glibc": {"unknown": 1}}
    assert text.startswith(f"Cannot tell: n = {n}, ")
    assert text.endswith("By medians alone, a hint: arena leads in 1 of 1 cell.")


def test_one_without_an_interval_keeps_the_best_from_being_shown(tmp_path):
    counts, _, _ = judged_of(tmp_path, around("arena", 20e6) + around("glibc", 10e6)
                             + around("scudo", 5e6, n=2))
    assert counts == {"arena": {"unknown": 1}, "glibc": {"behind": 1}, "scudo": {"unknown": 1}}


def test_oversubscribed_cells_and_references_take_no_part(tmp_path):
    rows = around("arena", 20e6, threads=4) + around("glibc", 10e6, threads=4)
    counts, text, _ = judged_of(tmp_path / "a", rows)
    assert counts == {"arena": {}, "glibc": {}}
    assert text == "Cannot tell: every cell has more threads than this machine has processing units."
    assert judged_of(tmp_path / "a", rows, MEMORY)[1] == "Not measured."
    counts, text, _ = judged_of(tmp_path / "b", around("arena", 20e6) + around("null", 90e6))
    assert counts == {"arena": {"unknown": 1}}
    assert text == "Cannot tell: no cell has two allocators to compare."


def test_failed_and_skipped_cells_are_named_as_such(tmp_path):
    rows = (around("arena", 20e6) + around("glibc", 10e6) + golden.failed("scudo", 1, "crash", "signal 11")
            + golden.failed("mimalloc", 1, "skip", "cannot"))
    counts, text, records = judged_of(tmp_path, rows)
    assert counts == {"arena": {"best": 1}, "glibc": {"behind": 1}, "scudo": {"failed": 1},
                      "mimalloc": {"skipped": 1}}
    assert [in_words(r, SPEED) for r in records if r.label in ("scudo", "mimalloc")] == [
        "not run in 1", "failed in 1"]


def test_some_failed_repetitions_keep_an_allocator_from_being_best(tmp_path):
    rows = around("arena", 20e6) + around("glibc", 10e6) + golden.failed("arena", 1, "crash", "", 1)
    counts, _, _ = judged_of(tmp_path, [r if r["status"] == "ok" else {**r, "repetition": 9} for r in rows])
    assert counts["arena"] == {"failed": 1}


def test_memory_is_better_when_small_and_compares_at_equal_work_only(tmp_path):
    def audits(name, mib, ops_target=100000):
        return [r for i, f in enumerate(SEVEN) for r in golden.audit(
            name, 1, round(mib * f * golden.MIB), ops_target=ops_target, repetition=i + 1)]
    counts, text, _ = judged_of(tmp_path / "a", audits("arena", 4) + audits("glibc", 2), MEMORY)
    assert counts == {"arena": {"behind": 1}, "glibc": {"best": 1}}
    assert text == "glibc is shown with the smallest peak in 1 of 1 cell."
    counts, _, _ = judged_of(tmp_path / "b", audits("arena", 4) + audits("glibc", 2, 5), MEMORY)
    assert counts == {"arena": {"unknown": 1}, "glibc": {"unknown": 1}}


def test_the_headline_counts_over_cells(tmp_path):
    rows = []
    for threads, best in ((1, "arena"), (2, "glibc")):
        for name in ("arena", "glibc"):
            rows += around(name, 20e6 if name == best else 10e6, threads)
    rows += around("arena", 20e6, workload="prodcons") + around("glibc", 20e6, workload="prodcons")
    rows += around("arena", 20e6, workload="prodcons", threads=2)
    rows += around("glibc", 9e6, workload="prodcons", threads=2)
    counts, text, records = judged_of(tmp_path, rows)
    assert text == ("arena is shown fastest in 2 of 4 cells, glibc in 1; in 1 cell no single one is.")
    assert counts["glibc"] == {"best": 1, "open": 1, "behind": 2}
    assert sum(records[0].counts.values()) == 4 and records[0].counts[Standing.OPEN] == 1
