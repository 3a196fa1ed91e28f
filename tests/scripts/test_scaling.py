"""Speed-up and the Universal Scalability Law: known numbers come back, and too little is said to be too
little."""
import csv
import io
import subprocess

import golden
import numpy as np
import pytest
from conftest import SCRIPTS

from heapdyno.run import read_run
from heapdyno.scaling import capacity, fit_law, scalings

RUN_BENCH = SCRIPTS.parent / "run-bench"


def law_rows(label, threads, sigma, kappa, noise, base=10e6):
    rows = []
    for t in threads:
        rates = [base * float(capacity(t, sigma, kappa)) * f for f in noise]
        rows += golden.timed(label, t, rates, oversubscribed=0)
    return rows


def scalings_of(folder, rows, n_cores=16):
    run = read_run(golden.write_run(folder, rows, topology=golden.topology_xml(n_cores=n_cores)))
    return scalings(run.samples, run.topology)


def test_capacity_is_gunthers():
    assert capacity(1, 0.3, 0.2) == 1
    assert capacity(8, 0, 0) == 8
    assert capacity(4, 0.1, 0.01) == pytest.approx(4 / (1 + 0.3 + 0.12))


def test_the_law_that_made_the_numbers_is_found(tmp_path):
    noise = [1, 1.01, 0.99, 1.02, 0.98, 1.005, 0.995]
    found, = scalings_of(tmp_path, law_rows("glibc", [1, 2, 4, 8, 16], 0.08, 0.002, noise))
    law = found.law
    assert law.sigma == pytest.approx(0.08, rel=0.02) and law.kappa == pytest.approx(0.002, rel=0.05)
    assert law.sigma_ci[0] <= law.sigma <= law.sigma_ci[1] and law.kappa_ci[0] <= law.kappa <= law.kappa_ci[1]
    assert law.peak_threads() == pytest.approx((0.92 / 0.002) ** 0.5, rel=0.05)
    assert law.worst_error < 0.01 and law.threads == (1, 2, 4, 8, 16)


def test_oversubscribed_points_are_not_fitted(tmp_path):
    rows = law_rows("glibc", [1, 2, 4, 8], 0.05, 0, [1, 1.01]) + golden.timed("glibc", 64, [1e6, 1e6])
    found, = scalings_of(tmp_path, rows, n_cores=8)
    assert found.law.threads == (1, 2, 4, 8) and found.law.sigma == pytest.approx(0.05, rel=0.02)
    assert found.law.sigma_ci[0] != found.law.sigma_ci[0], "no interval from two repetitions"
    assert [s.threads for s in found.speedups] == [1, 2, 4, 8, 64]


@pytest.mark.parametrize("threads, n_pus", [([1, 2, 4, 8, 16, 32, 64], 2), ([1, 2, 4, 8, 16], 7),
                                            ([1, 4, 8], 64)])
def test_fewer_than_four_points_are_no_law(threads, n_pus, tmp_path):
    found, = scalings_of(tmp_path, law_rows("glibc", threads, 0.1, 0, [1, 1, 1]), n_cores=n_pus)
    assert found.law is None
    assert found.why.startswith("not enough points on this machine: ")
    assert f"{sum(t <= n_pus for t in threads)} thread counts" in found.why


def test_no_topology_is_no_law():
    assert fit_law([1, 2, 3, 4], [1, 2, 3, 4], None, None)[0] is None


def test_linear_scaling_has_no_peak(tmp_path):
    found, = scalings_of(tmp_path, law_rows("glibc", [1, 2, 4, 8], 0, 0, [1, 1]))
    assert found.law.sigma == found.law.kappa == 0 and found.law.peak_threads() == float("inf")


def test_speedup_is_of_medians_with_an_interval_from_six_repetitions(tmp_path):
    rows = golden.timed("glibc", 1, [10e6, 10.1e6, 9.9e6, 10e6, 10e6, 10.2e6])
    rows += golden.timed("glibc", 2, [18e6, 18.4e6, 17.9e6, 18.1e6, 17e6, 18.2e6])
    rows += golden.timed("arena", 1, [10e6, 10e6]) + golden.timed("arena", 2, [15e6, 17e6])
    rows += golden.timed("scudo", 2, [1e6])
    arena, glibc = scalings_of(tmp_path, rows)
    assert (arena.label, glibc.label) == ("arena", "glibc"), "scudo has no cell with one thread"
    two = glibc.speedups[1]
    assert two.value == pytest.approx(18.05 / 10) and two.n == 6
    assert two.ci[0] < two.value < two.ci[1] and two.ci[0] > 1.65 and two.ci[1] < 1.87
    assert arena.speedups[1].value == pytest.approx(1.6) and np.isnan(arena.speedups[1].ci[0])
    assert arena.speedups[1].extremes == pytest.approx((1.5, 1.7))


def scaling(*args):
    return subprocess.run([RUN_BENCH, "scaling", *map(str, args)], capture_output=True, text=True)


def test_the_command_prints_both_tables_and_reasons(tmp_path):
    rows = law_rows("glibc", [1, 2, 4, 8], 0.1, 0.001, [1, 1.01, 0.99]) + golden.timed("glibc", 32, [4e6])
    rows += law_rows("arena", [1, 2], 0.1, 0, [1, 1])
    golden.write_run(tmp_path, rows, topology=golden.topology_xml(n_cores=8))
    text, markdown = scaling(tmp_path), scaling(tmp_path, "--format", "markdown")
    assert text.returncode == markdown.returncode == 0, text.stderr
    assert "32+" in text.stdout and "1,2,4,8" in text.stdout and "sigma" in text.stdout
    assert "no law for arena: not enough points on this machine: 2 thread counts" in text.stdout
    assert "| glibc | 1.00 | 1.81 |" in markdown.stdout
    table = list(csv.DictReader(io.StringIO(scaling(tmp_path, "--format", "csv").stdout)))
    by_name = {(r["label"], r["quantity"], r["threads"]): r for r in table}
    assert float(by_name["glibc", "sigma", ""]["value"]) == pytest.approx(0.1, rel=0.05)
    assert by_name["arena", "sigma", ""]["value"] == "" and by_name["arena", "sigma", ""]["note"]


def test_the_command_refuses_what_it_cannot_scale(tmp_path):
    done = scaling(golden.write_run(tmp_path, golden.timed("glibc", 2, [1e6])))
    assert done.returncode == 2 and "no cell with one thread has a value" in done.stderr
    assert scaling(tmp_path, "--format", "pdf").returncode == 2
    assert scaling().returncode == 2


def test_a_rate_of_nought_is_neither_a_base_nor_fitted(tmp_path):
    rows = golden.timed("glibc", 1, [0, 1e6]) + golden.timed("glibc", 2, [1e6, 1e6])
    for t in (1, 2, 4, 8):
        rows += golden.timed("arena", t, [1e6 if t < 8 else 0] * 2, oversubscribed=0)
    arena, = scalings_of(tmp_path, rows)
    assert arena.label == "arena" and arena.speedups[-1].value == 0
    assert arena.law is None and "no throughput" in arena.why
