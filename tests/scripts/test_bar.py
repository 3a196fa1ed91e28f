"""The tables that the arena allocator is judged by."""
import subprocess
import sys

import golden
import pytest
from conftest import SCRIPTS
from heapdyno import pairs, ratio
from heapdyno.run import read_run


def params(pattern, size, idle=0):
    return f"pattern={pattern};call=0;size_bytes={size};batch=1000;idle_threads={idle}"


def pair_rows(allocator, size, instructions, faults, ns, pattern=0):
    """One counted row of 1000 operations and three timed ones around `ns`."""
    common = {"allocator": allocator, "workload": "pair", "params": params(pattern, size), "ops": 1000}
    rows = [golden.row(**common, **{"pass": "instructions", "alloc_instructions": instructions * 1000})]
    for i, factor in enumerate((0.9, 1, 1.5)):
        rows.append(golden.row(**common, repetition=i + 1, ops_per_s=1e9 / (ns * factor), minflt=faults,
                               duration_ns=1))
    return rows


def pair_run(folder):
    golden.write_run(folder, pair_rows("arena", 64, 40, 0, 10) + pair_rows("glibc", 64, 80, 10, 20)
                     + pair_rows("floor", 64, 3, 0, 2) + pair_rows("arena", 65536, 300, 1, 40, pattern=1)
                     + pair_rows("glibc", 65536, 100, 1000, 10, pattern=1))
    return read_run(folder)


def test_costs_are_by_operation(tmp_path):
    costs = pairs.pair_costs(pair_run(tmp_path).samples)
    value = {(m, p, s, label): v for m, p, s, label, v in
             costs[["measure", "pattern", "size_bytes", "label", "value"]].itertuples(index=False)}
    assert value["instructions", "lifo", 64, "arena"] == 40
    assert value["faults", "batch", 65536, "glibc"] == 1
    assert value["ns", "lifo", 64, "glibc"] == pytest.approx(20)


def test_table_shows_best_and_geometric_mean(tmp_path):
    pair_run(tmp_path)
    done = subprocess.run([sys.executable, SCRIPTS / "pair_table.py", tmp_path], capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    # 40/80 and 300/100: the square root of 1.5; floor, a reference, is nobody's best.
    assert "geometric mean of arena over the best other of each row: 1.225 (n = 2)" in done.stdout
    assert "40.0*" in done.stdout and "3.0*" not in done.stdout
    # 10/20 and 40/10: the square root of 2.
    assert "each row: 1.414 (n = 2)" in done.stdout


def test_run_without_pairs_is_refused(tmp_path):
    golden.write_run(tmp_path, golden.timed("glibc", 1, [1.0]))
    for script in ("pair_table.py", "ratio_table.py"):
        done = subprocess.run([sys.executable, SCRIPTS / script, tmp_path], capture_output=True, text=True)
        assert done.returncode == 2
        assert str(tmp_path) in done.stderr


def test_idle_threads_are_in_the_name():
    assert pairs._name_pattern(params(1, 64, idle=2))[1:] == ("batch +2 idle", 64)


def test_ratio_is_to_the_best_other_with_an_interval(tmp_path):
    rows = (golden.timed("arena", 2, [110, 112, 108, 111, 109, 110]) + golden.timed("null", 2, [900] * 6)
            + golden.timed("glibc", 2, [50] * 6) + golden.timed("mimalloc", 2, [100, 101, 99, 100, 102, 98]))
    golden.write_run(tmp_path, rows)
    samples = read_run(tmp_path).samples
    best, = ratio.against_best(ratio.rates(samples), "arena")
    assert (best.other, best.threads) == ("mimalloc", 2)
    assert best.value == pytest.approx(1.1)
    assert 1.05 < best.low <= best.value <= best.high < 1.15
    assert "2.200" in ratio.format_ratios(samples, "arena")


def test_few_repetitions_have_no_interval(tmp_path):
    golden.write_run(tmp_path, golden.timed("arena", 1, [2.0] * 5) + golden.timed("glibc", 1, [1.0] * 5))
    best, = ratio.against_best(ratio.rates(read_run(tmp_path).samples), "arena")
    assert best.value == 2 and best.low != best.low
