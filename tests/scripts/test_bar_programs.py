"""Whole programs under LD_PRELOAD: the list of allocators, the proof, the verdicts, the table."""
import random
import subprocess
import sys

import bar_programs
import pytest
from conftest import SCRIPTS
from heapdyno import preload, programs
from heapdyno.programs import MIB, Target, judge
from heapdyno.run import RunError

LIST = """Allocators (* = in a sweep that names none):

* arena          the allocator of this project: arenas, runs
    found:   /opt/libarena.so
    version: heapdyno-arena 1.0
    build:   d73b6b

* tcmalloc       tcmalloc of gperftools
    missing: libtcmalloc_minimal4

  floor          control: empty functions
    found:   /opt/libfloor.so

Any other: NAME=PATH.so

Workloads:

  malloc-test, version 1: private malloc/free pairs
    found:   /not/an/allocator
"""


def of(**by_name):
    return {name: dict(enumerate(values, 1)) for name, values in by_name.items()}


def test_list_gives_what_was_found():
    assert preload.parse_list(LIST) == {
        "arena": {"path": "/opt/libarena.so", "version": "heapdyno-arena 1.0", "build": "d73b6b"},
        "floor": {"path": "/opt/libfloor.so", "version": "", "build": ""}}


def test_bindings_are_those_of_the_program_alone():
    text = ("  7:\tbinding file /lib/libc.so.6 [0] to /lib/libc.so.6 [0]: normal symbol `malloc' [GLIBC_2]\n"
            "  7:\tbinding file /bin/p [0] to /opt/a.so [0]: normal symbol `malloc' [GLIBC_2.2.5]\n"
            "  7:\tbinding file /bin/p [0] to /lib/libc.so.6 [0]: normal symbol `mallopt' [GLIBC_2.2.5]\n")
    assert preload.bindings(text, "/bin/p") == {"malloc": "/opt/a.so"}


def test_program_on_another_library_is_refused(tmp_path):
    with pytest.raises(preload.RunError, match="malloc is that of"):
        preload.prove([sys.executable, "-c", ""], str(tmp_path / "absent.so"))


@pytest.mark.parametrize("values, word", [
    ([15.9] * 6, "met"),
    ([16.0, 16.1, 16.2, 16.2, 16.1, 16.0], "met"),
    ([16.3] * 6, "missed"),
    ([16.1, 16.3] * 3, "inconclusive"),
    ([15.9] * 5, "too few repetitions"),
])
def test_ceiling_needs_the_whole_interval(values, word):
    assert judge(of(arena=values), Target("value", 16.2)).word == word


def test_base_is_that_of_the_same_repetition():
    values = of(arena=[11, 21, 31, 41, 51, 61], glibc=[10, 20, 30, 40, 50, 60, 0])
    verdict = judge(values, Target("minus base", 1))
    assert (verdict.value, verdict.low, verdict.high, verdict.word) == (1, 1, 1, "met")
    assert judge(of(arena=[30] * 6, glibc=[23] * 6), Target("over base", 30 / 23)).word == "met"
    assert judge(of(arena=[31] * 6, glibc=[23] * 6), Target("over base", 30 / 23)).word == "missed"


@pytest.mark.parametrize("arena, word", [([90] * 6, "missed"), ([95, 99, 101, 94, 96, 97], "met"),
                                         ([110] * 6, "met"), ([110] * 2, "too few repetitions")])
def test_floor_is_missed_only_wholly_below_the_best_other(arena, word):
    verdict = judge(of(arena=arena, glibc=[50] * 6, mimalloc=[100] * 6), Target("over best", 1))
    assert verdict.word == word
    assert verdict.value < 1.2  # mimalloc, not glibc


def test_what_it_is_held_against_must_be_measured():
    assert judge(of(arena=[1] * 6), Target("minus base", 1)) is None
    assert judge(of(arena=[1] * 6), Target("over best", 1)) is None
    assert judge(of(glibc=[1] * 6), Target("value", 1)) is None


def samples(measure, **by_name):
    return [(r, name, measure, v, "ok")
            for name, its in of(**by_name).items() for r, v in its.items()]


def test_table_has_units_and_targets():
    rows = (samples("idle_peak_rss_bytes", arena=[1.5 * MIB] * 6, glibc=[MIB] * 6)
            + samples("churn_us", arena=[20.0] * 6, glibc=[20.0] * 6)
            + samples("retained_light_1000_bytes", arena=[-4096.0] * 6)
            + samples("redis_set_rps", arena=[100000.0]) + [(1, "jemalloc", "", "", "exit code 1")])
    text = programs.format_programs(programs.to_samples(rows), ["arena", "glibc", "jemalloc"])
    assert "at most 0.4 MiB above glibc; arena 0.5 MiB [0.5, 0.5]: missed" in text
    assert "at most 1.304 of glibc's; arena 1 [1, 1]: met" in text
    assert "arena     100.0\n" in text and "best other's; not measured" in text
    assert "-0.00391" in text
    assert "jemalloc" not in text and "bytes of an object" not in text


def test_failure_ends_one_repetition_of_one_allocator(capsys):
    def measure(name, path):
        yield "start_ns", 1.0
        if name == "glibc":
            raise RunError(f"{path} crashed")
        yield "churn_us", 2.0

    rows = list(bar_programs.repeat({"arena": {"path": "/a"}, "glibc": {"path": "/g"}}, 2, measure,
                                    random.Random(1)))
    assert sorted(rows) == [(r, *rest) for r in (1, 2) for rest in (
        ("arena", "churn_us", 2.0, "ok"), ("arena", "start_ns", 1.0, "ok"),
        ("glibc", "", "", "/g crashed"), ("glibc", "start_ns", 1.0, "ok"))]
    assert "glibc, repetition 2: /g crashed" in capsys.readouterr().err
    assert len(programs.to_samples(rows)) == 6


def test_every_target_is_of_a_measure():
    assert programs.TARGETS.keys() <= {m.name for m in programs.MEASURES}


def test_bad_arguments_are_refused(tmp_path):
    done = subprocess.run([sys.executable, SCRIPTS / "bar_programs.py", "--reps", "0"], capture_output=True,
                          text=True)
    assert done.returncode == 2 and "--reps" in done.stderr and "whole number above 0" in done.stderr
    done = subprocess.run([SCRIPTS / "bar.sh", tmp_path / "bar"], capture_output=True, text=True,
                          env={"PATH": "/usr/bin:/bin", "BAR_PARTS": "pair pear"})
    assert done.returncode == 2 and "BAR_PARTS: 'pear': allowed are" in done.stderr
    assert not (tmp_path / "bar").exists()
