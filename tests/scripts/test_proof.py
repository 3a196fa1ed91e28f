"""The counting of gates on known differences."""
import json
import math

import numpy as np

import prove_gate
from heapdyno import proof


def gate(verdict, why="", ratios=(0.0,) * 12, median=0.0):
    return ({"verdict": verdict, "cells": [{"name": "x", "why": why, "median": median}]}, {"x": list(ratios)})


def test_read_gate_takes_the_used_pairs_alone(tmp_path):
    (tmp_path / "gate.json").write_text(json.dumps(gate("pass")[0]))
    (tmp_path / "pairs.csv").write_text("cell,log_ratio,is_used\nx,0.5,1\nx,0.7,0\nx,0.25,1\n")
    verdict, ratios = proof.read_gate(tmp_path)
    assert verdict["verdict"] == "pass" and ratios == {"x": [0.5, 0.25]}


def test_runs_on_an_unfit_machine_are_no_misses():
    gates = {10: [gate("fail"), gate("inconclusive", "unfit machine: other load disturbed 5 of 12 pairs"),
                  gate("inconclusive", "40 pairs do not tell", median=0.04)]}
    row = proof.of_time(gates)[2]
    assert row == "| 10 % | 3 | 1 of 2 = 50.0 % (1.3 to 98.7 %) | 0 | 2 | 1 | +0.0 % | 12 |"


def test_exchanged_sides_without_a_difference_raise_no_alarm():
    rng = np.random.default_rng(1)
    gates = [{"x": list(0.02 * rng.standard_normal(40))} for _ in range(10)]
    n_fails, n_runs = proof.swapped_fails(gates, 500, seed=2)
    assert (n_fails, n_runs) == (0, 500)


def test_exchanged_sides_of_a_large_difference_fail_as_often_as_coins_agree():
    """All twelve coins of the first look show the same side once in 4096: what cannot be avoided."""
    n_fails, n_runs = proof.swapped_fails([{"x": [math.log(2)] * 12}], 20000, seed=3)
    assert n_fails / n_runs < 0.05 and n_fails > 0


def test_gates_with_too_few_pairs_are_not_judged():
    assert proof.swapped_fails([{"x": [0.0] * 11}], 100, seed=1) == (0, 0)
    assert "FAIL in 0 of 0 pseudo-runs" in make_page({0: []}, {})


OPTIONS = {"workload": "malloc-test", "window": 0.3, "max_pairs": "40", "max_run_delay": "2%"}


def make_page(times, counts):
    machine = {"cpu": {"model": "Test CPU", "hypervisor": "KVM"}, "kernel": {"release": "6.1"},
               "affinity": "0-1", "libc": "2.36"}
    manifest = {"machine": machine, "started": "2026-01-01T00:00:00Z",
                "build": {"compiler": "gcc 12", "revision": "abc"}}
    return proof.page(times, counts, 100, 1, OPTIONS, {"time": manifest, "exact": manifest},
                      "scripts/x --y 1")


def test_exact_gates_are_counted_by_what_failed():
    def exact(verdict, name):
        return {"verdict": verdict, "cells": [{"name": f"x: {name}", "verdict": verdict, "why": ""}]}, {}
    counts = {0: [exact("pass", "peak RSS in bytes")] * 2,
              1: [exact("fail", "allocator instructions per operation"), exact("fail", "minor page faults")]}
    assert proof.of_counts(counts)[2:] == [
        "| 0 % | 2 | 0 of 2 = 0.0 % (0.0 to 84.2 %) | 2 of 2 = 100.0 % (15.8 to 100.0 %) | 0 "
        "| 0 of 2 = 0.0 % (0.0 to 84.2 %) |",
        "| 1 % | 2 | 2 of 2 = 100.0 % (15.8 to 100.0 %) | 0 of 2 = 0.0 % (0.0 to 84.2 %) | 0 "
        "| 1 of 2 = 50.0 % (1.3 to 98.7 %) |"]


def test_the_page_has_machine_and_rule():
    text = make_page({0: [gate("pass")]}, {})
    assert ("Measured from 2026-01-01T00:00:00Z on: Test CPU, CPUs 0-1, hypervisor KVM, Linux 6.1, "
            "glibc 2.36, gcc 12; heapdyno abc.") in text
    assert "## Counts" not in text and text.endswith("    scripts/x --y 1\n")
    assert "| 0 % | 1 | 0 of 1 = 0.0 % (0.0 to 97.5 %) | 1 | 0 | 0 | +0.0 % | 12 |" in text
    assert "Windows of 0.3 s, at most 40 pairs" in text and "for more than 2% of its time" in text


def test_the_command_on_the_page_has_what_is_not_as_by_default():
    args = prove_gate.parse(["/somewhere/x", "--window", "0.2", "--exact-runs", "5", "--page", "/elsewhere"])
    assert prove_gate.command(args) == ("scripts/python scripts/prove_gate.py results/proof --exact-runs 5 "
                                        "--window 0.2")


def test_the_kinds_take_turns(tmp_path):
    args = prove_gate.parse([str(tmp_path), "--null-runs", "6", "--runs", "2", "--exact-runs", "1"])
    jobs = prove_gate.jobs(args)
    assert len(jobs) == len(set(jobs)) == 6 + 3 * 2 + 2
    places = [i for i, job in enumerate(jobs) if job[:2] == ("time", 10.0)]
    assert places[0] < len(jobs) / 2 < places[1]
