"""The environment doctor on machines made of files."""
import json
import os
import subprocess

import pytest
from conftest import SCRIPTS

from heapdyno import doctor
from heapdyno.doctor import FIT, UNFIT, UNKNOWN, Machine, examine

GOOD = {
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "performance",
    "sys/devices/system/cpu/cpufreq/boost": "0", "sys/devices/system/cpu/smt/control": "off",
    "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never",
    "proc/sys/kernel/randomize_va_space": "2", "proc/sys/vm/overcommit_memory": "0",
    "proc/sys/vm/max_map_count": "65530", "proc/meminfo": "MemTotal: 9 kB\nSwapTotal:       0 kB\n",
    "proc/sys/kernel/numa_balancing": "0",
    "sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc",
    "sys/devices/system/cpu/isolated": "", "proc/self/cgroup": "0::/a/b\n",
    "sys/fs/cgroup/a/b/cpu.max": "max 100000",
    "sys/fs/cgroup/a/memory.max": "max", "proc/loadavg": "0.05 0.1 0.1 1/100 99",
    "proc/stat": "cpu  10 0 10 900 0 0 0 0 0 0\ncpu0 5 0 5 450 0 0 0 0 0 0\ncpu1 5 0 5 450 0 0 0 0 0 0\n"}


def machine(tmp_path, **changes):
    for path, text in {**GOOD, **changes}.items():
        if text is not None:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text + "\n")
    return Machine(tmp_path)


def states(tmp_path, environment=(), **changes):
    return {f.name: f.state for f in examine(machine(tmp_path, **changes), dict(environment))}


def test_a_quiet_machine_is_fit(tmp_path):
    assert set(states(tmp_path).values()) == {FIT}


@pytest.mark.parametrize("path, text, name", [
    ("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave", "governor"),
    ("sys/devices/system/cpu/cpufreq/boost", "1", "boost"),
    ("sys/devices/system/cpu/smt/control", "on", "SMT"),
    ("sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never", "transparent huge pages"),
    ("proc/sys/kernel/randomize_va_space", "0", "ASLR"), ("proc/sys/vm/overcommit_memory", "2", "overcommit"),
    ("proc/sys/vm/max_map_count", "1000", "max_map_count"), ("proc/meminfo", "SwapTotal: 2048 kB", "swap"),
    ("proc/sys/kernel/numa_balancing", "1", "NUMA balancing"),
    ("sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet", "clock source"),
    ("sys/devices/system/cpu/isolated", "1-3", "isolated CPUs"),
    ("sys/fs/cgroup/a/cpu.max", "150000 100000", "cgroup CPU limit"),
    ("sys/fs/cgroup/a/b/memory.max", "1073741824", "cgroup memory limit"),
    ("proc/loadavg", "1.5 1 1 1/9 9", "load")])
def test_one_thing_unfit_is_named_with_effect_and_command(tmp_path, path, text, name):
    findings = {f.name: f for f in examine(machine(tmp_path, **{path: text}), {})}
    assert [f.name for f in findings.values() if f.state == UNFIT] == [name]
    assert findings[name].effect and findings[name].command


def test_turbo_of_intel_pstate_is_inverted(tmp_path):
    no_turbo = "sys/devices/system/cpu/intel_pstate/no_turbo"
    without = {"sys/devices/system/cpu/cpufreq/boost": None}
    assert states(tmp_path / "a", **without, **{no_turbo: "0"})["boost"] == UNFIT
    assert states(tmp_path / "b", **without, **{no_turbo: "1"})["boost"] == FIT


def test_what_is_not_shown_is_unknown_and_never_fit(tmp_path):
    found = {f.name: f.state for f in examine(Machine(tmp_path), {})}
    assert {name for name, state in found.items() if state != UNKNOWN} == {"restartable sequences"}


def test_steal_is_taken_over_a_moment(tmp_path):
    m = machine(tmp_path)

    def half_a_second(seconds):
        (tmp_path / "proc/stat").write_text("cpu  40 0 10 950 0 0 0 20 0 0\n")
    finding = doctor.check_steal(m, half_a_second)
    assert (finding.state, finding.value) == (UNFIT, "20.0 %")


def test_rseq_turned_off_is_unfit(tmp_path):
    found = states(tmp_path, environment={"GLIBC_TUNABLES": "glibc.pthread.rseq=0"})
    assert found["restartable sequences"] == UNFIT


def test_strict_refuses_an_unfit_machine(tmp_path, script):
    machine(tmp_path, **{"proc/sys/vm/overcommit_memory": "2"})
    done = script("check.py", "--root", tmp_path)
    assert done.returncode == 0 and "to change it: sysctl vm.overcommit_memory=0" in done.stdout
    assert done.stdout.endswith("of 16: 1 unfit, 0 unknown, 15 fit\n")
    assert script("check.py", "--root", tmp_path, "--strict").returncode == 3
    findings = json.loads(script("check.py", "--root", tmp_path, "--json").stdout)
    assert {f["state"] for f in findings} == {FIT, UNFIT}


def test_each_fact_is_in_the_manifest_too(tmp_path):
    """By the manifest's published schema, where all that is required is always there."""
    schema = json.loads((SCRIPTS.parent / "docs" / "manifest.schema.json").read_text())
    assert set(doctor.RECORDED) == {f.name for f in examine(machine(tmp_path), {})}
    for path in doctor.RECORDED.values():
        at = schema
        while path:
            at = schema["$defs"]["activity"] if "activity" in at.get("$ref", "") else at
            key = path if path in at["properties"] else path.partition(".")[0]
            assert key in at["required"], path
            at, path = at["properties"][key], path[len(key) + 1:]


def recorded(machine=(), **manifest):
    """A manifest in which nothing is unfit, changed by what is given."""
    facts = {"cpu": {"governor": "performance", "boost": 0, "smt": "off", "isolated": "", "online": "0-1"},
             "memory": {"thp_enabled": "madvise", "overcommit": 0, "max_map_count": 65530,
                        "swap_total_bytes": 0, "numa_balancing": 0},
             "aslr": 2, "clock_source": "tsc", "cgroup": {"cpu.max": "max 100000", "memory.max": "max"}}
    for path, value in dict(machine).items():
        group, _, name = path.partition("/")
        if name:
            facts[group][name] = value
        else:
            facts[group] = value
    return {"machine": facts, "environment": {}, "started": "2026-01-01T00:00:00Z",
            "ended": "2026-01-01T00:01:40Z",
            "activity_before": {"load_average": [0.1, 0, 0], "steal_ticks": 7},
            "activity_after": {"load_average": [2, 0, 0], "steal_ticks": 17}, **manifest}


def test_a_stored_run_is_examined_as_the_machine_was():
    """All that the doctor looks at is judged from the manifest too."""
    findings = doctor.examine_recorded(recorded())
    assert {f.name for f in findings} == set(doctor.RECORDED)
    assert {f.name: f.state for f in findings if f.state != FIT} == {}
    assert {f.state for f in doctor.examine_recorded({}) if f.name != "restartable sequences"} == {UNKNOWN}


@pytest.mark.parametrize("path, value, name", [
    ("cpu/governor", "powersave", "governor"), ("cpu/boost", 1, "boost"), ("cpu/smt", "on", "SMT"),
    ("memory/thp_enabled", "always", "transparent huge pages"), ("aslr", 0, "ASLR"),
    ("memory/overcommit", 2, "overcommit"), ("memory/max_map_count", 1000, "max_map_count"),
    ("memory/swap_total_bytes", 2 ** 30, "swap"), ("memory/numa_balancing", 1, "NUMA balancing"),
    ("clock_source", "hpet", "clock source"), ("cpu/isolated", "1", "isolated CPUs"),
    ("cgroup/cpu.max", "50000 100000", "cgroup CPU limit"),
    ("cgroup/memory.max", "1073741824", "cgroup memory limit")])
def test_one_thing_recorded_as_unfit_is_named(path, value, name):
    findings = doctor.examine_recorded(recorded({path: value}))
    assert [(f.name, bool(f.effect and f.command)) for f in findings if f.state == UNFIT] == [(name, True)]


@pytest.mark.parametrize("manifest, name, state", [
    ({"activity_before": {"load_average": [1.5, 0, 0], "steal_ticks": 7}}, "load", UNFIT),
    ({"activity_after": {"steal_ticks": 407}}, "steal", UNFIT), ({"ended": None}, "steal", UNKNOWN),
    ({"ended": "2026-01-01T00:00:00Z"}, "steal", UNKNOWN),
    ({"environment": {"GLIBC_TUNABLES": "glibc.pthread.rseq=0"}}, "restartable sequences", UNFIT)])
def test_activity_of_a_stored_run(manifest, name, state):
    findings = doctor.examine_recorded(recorded(**manifest))
    assert {f.name: f.state for f in findings if f.state != FIT} == {name: state}


@pytest.mark.parametrize("words", [["--strict", "--list"],
                                   ["--list", "--strict"], ["gate", "--exact", "--strict"]])
def test_strict_among_the_words_refuses_an_unfit_machine(words):
    """The variable makes any machine unfit."""
    done = subprocess.run([SCRIPTS.parent / "run-bench", *words], capture_output=True,
                          text=True, env={**os.environ, "GLIBC_TUNABLES": "glibc.pthread.rseq=0"})
    assert (done.returncode, done.stdout) == (3, "") and "unfit    restartable sequences" in done.stderr


@pytest.mark.parametrize("command", ["compare", "report", "scaling", "export"])
def test_strict_lets_through_what_looks_at_stored_runs(command):
    done = subprocess.run([SCRIPTS.parent / "run-bench", "--strict", command, "--help"], capture_output=True,
                          text=True, env={**os.environ, "GLIBC_TUNABLES": "glibc.pthread.rseq=0"})
    assert (done.returncode, done.stderr) == (0, "") and f"run-bench {command}" in done.stdout


@pytest.mark.parametrize("words", [["--paper"], ["compare", "--paper"], ["--threads=1", "--paper"]])
def test_paper_among_the_options_is_the_command(words):
    done = subprocess.run([SCRIPTS.parent / "run-bench", *words, "a", "b"], capture_output=True, text=True)
    assert done.returncode == 2 and "run-bench paper: error: a b: everything is measured anew" in done.stderr
