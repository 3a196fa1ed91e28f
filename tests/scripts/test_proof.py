"""The counting of gates on known differences."""
import json
import math

import numpy as np

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
    row = proof.markdown(gates, 10, 1).splitlines()[2]
    assert row == "| 10 % | 3 | 1 of 2 = 50.0 % (1.3 to 98.7 %) | 0 | 2 | 1 | +0.0 % |"


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
    assert "FAIL in 0 of 0 pseudo-runs" in proof.markdown({0: []}, 100, 1)
