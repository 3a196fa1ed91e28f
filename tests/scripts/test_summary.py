import csv
import math

import golden
import pytest

from heapdyno.run import read_run
from heapdyno.summary import COLUMNS, read_summary, summarize, write_summary


def summary_of(folder, rows):
    run = read_run(golden.write_run(folder, rows))
    return run, summarize(run)


def one(summary, metric="ops_per_s", **wanted):
    """The only row of the summary with these values."""
    rows = summary[summary["metric"] == metric]
    for column, value in wanted.items():
        rows = rows[rows[column] == value]
    assert len(rows) == 1
    return rows.iloc[0]


def test_few_values_have_a_range_and_no_interval(tmp_path):
    row = one(summary_of(tmp_path, golden.timed("glibc", 1, [30, 10, 20, 50, 40]))[1])
    assert (row["n"], row["median"], row["min"], row["max"]) == (5, 30, 10, 50)
    assert math.isnan(row["ci_lo"]) and math.isnan(row["ci_hi"])


def test_nine_values_have_an_interval(tmp_path):
    row = one(summary_of(tmp_path, golden.timed("glibc", 1, [9, 1, 8, 2, 7, 3, 6, 4, 5]))[1])
    assert (row["n"], row["median"], row["ci_lo"], row["ci_hi"], row["min"], row["max"]) == (9, 5, 2, 8, 1, 9)


def test_even_number_of_values(tmp_path):
    assert one(summary_of(tmp_path, golden.timed("glibc", 1, [10, 40]))[1])["median"] == 25


def test_each_metric_comes_from_its_own_pass(tmp_path):
    rows = golden.timed("glibc", 1, [5e6], peak_rss_bytes=999, retained_rss_bytes=999)
    rows += golden.audit("glibc", 1, 4096, retained_bytes=1024, ops_per_s=77)
    rows += golden.audit("glibc", 1, 8192, **{"pass": "rss"})
    _, summary = summary_of(tmp_path, rows)
    assert one(summary)["median"] == 5e6
    assert one(summary, "peak_rss_bytes")["median"] == 4096
    assert one(summary, "retained_rss_bytes")["median"] == 1024
    assert len(summary) == 3


def test_failed_rows_are_counted_and_not_averaged(tmp_path):
    rows = golden.timed("glibc", 1, [10, 20, 30])
    for i, status in enumerate(["crash", "crash", "contaminated", "timeout"]):
        rows.append(golden.row(repetition=10 + i, ops_per_s=1e12, status=status))
    row = one(summary_of(tmp_path, rows)[1])
    assert (row["n"], row["median"], row["max"], row["n_failed"]) == (3, 20, 30, 4)
    assert row["statuses"] == "contaminated:1;crash:2;timeout:1"


def test_cell_without_any_value_has_a_row(tmp_path):
    row = one(summary_of(tmp_path, golden.failed("scudo", 64, "timeout", "no result", n=2))[1])
    assert (row["n"], row["n_failed"], row["statuses"]) == (0, 2, "timeout:2")
    assert math.isnan(row["median"])


def test_ok_without_a_value_is_unmeasured(tmp_path):
    rows = golden.timed("glibc", 64, [10, "", "nan"])
    row = one(summary_of(tmp_path, rows)[1])
    assert (row["n"], row["median"], row["n_unmeasured"], row["n_failed"]) == (1, 10, 2, 0)


@pytest.mark.parametrize("change", [
    {"config": "MALLOC_CONF=tcache:false"}, {"load": "preload"}, {"workload": "prodcons"},
    {"workload_version": 2}, {"params": "min_bytes=16;max_bytes=1000"}, {"threads": 2},
    {"placement": "scatter"}, {"membind": "interleave"}])
def test_whatever_is_part_of_the_identity_makes_another_cell(tmp_path, change):
    other = {"allocator": "glibc", "threads": 1, "rates": [20], **change}
    rows = golden.timed("glibc", 1, [10]) + golden.timed(**other)
    _, summary = summary_of(tmp_path, rows)
    assert sorted(summary.loc[summary["metric"] == "ops_per_s", "median"]) == [10, 20]


@pytest.mark.parametrize("change, names", [
    ({"load": "preload"}, ["larson-dlopen", "larson-preload"]),
    ({"workload_version": 2}, ["larson-v1", "larson-v2"]),
    ({"params": "min_bytes=16;max_bytes=1000"}, ["larson-min_bytes=16", "larson-min_bytes=8"]),
    ({"workload": "prodcons", "load": "preload"}, ["larson", "prodcons"]),
    ({"config": "A=b"}, ["larson"]),
    ({"threads": 2}, ["larson"]),
])
def test_what_must_not_be_compared_has_different_names(tmp_path, change, names):
    other = {"allocator": "glibc", "threads": 1, "rates": [20], **change}
    rows = golden.timed("glibc", 1, [10]) + golden.timed(**other)
    _, summary = summary_of(tmp_path, rows)
    assert sorted(summary["comparison"].unique()) == names


def test_memory_after_different_work_is_a_warning(tmp_path):
    rows = golden.audit("glibc", 2, 100, ops_target=1000) + golden.audit("arena", 2, 50, ops_target=2000)
    run, _ = summary_of(tmp_path, rows)
    assert [w.name for w in run.warnings] == ["unequal-ops"]
    assert "larson at 2 threads" in str(run.warnings[0])


def test_file_is_plain_csv_and_reads_back_the_same(tmp_path):
    rows = golden.timed("mine, too", 64, [1.5e6, 2e6], config="A=b") + golden.failed("scudo", 1, "oom", "")
    _, summary = summary_of(tmp_path, rows)
    write_summary(summary, tmp_path / "summary.csv")
    with (tmp_path / "summary.csv").open(newline="") as file:
        records = list(csv.DictReader(file))
    assert tuple(records[0]) == COLUMNS
    mine = next(r for r in records if r["allocator"] == "mine, too")
    assert mine["label"] == "mine, too[A=b]"
    assert (mine["threads"], mine["oversubscribed"], mine["n"], mine["median"], mine["ci_lo"]) == (
        "64", "1", "2", "1750000", "")
    back = read_summary(tmp_path / "summary.csv")
    assert back["median"].dropna().tolist() == summary["median"].dropna().tolist()
    assert back["statuses"].tolist() == summary["statuses"].tolist()
    assert back["config"].tolist() == summary["config"].tolist()
