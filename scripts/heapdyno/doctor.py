"""What about this machine gets into measurements, and the command that would change it. Changes nothing.

Reads /proc and /sys below a folder, so that tests can show it any machine.
"""
import os
import re
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

FIT, UNFIT, UNKNOWN = "fit", "unfit", "unknown"
TICKS_PER_S = 100
"""Of /proc/stat: USER_HZ, part of the kernel's interface."""


@dataclass(frozen=True)
class Finding:
    """One fact. `effect` says what it does to results, `command` how to change it; empty where it is fit."""
    name: str
    state: str
    value: str
    effect: str = ""
    command: str = ""


class Machine:
    """Facts below `root`; None for what this kernel or container does not show."""

    def __init__(self, root=Path("/")):
        self.root = Path(root)

    def text(self, path):
        try:
            return (self.root / path).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return None

    def number(self, path):
        text = self.text(path)
        return int(text) if text and re.fullmatch(r"-?\d+", text) else None

    def chosen(self, path):
        """`madvise` of `always [madvise] never`."""
        match = re.search(r"\[(\S+)\]", self.text(path) or "")
        return match[1] if match else None

    def n_cpus(self):
        return len(re.findall(r"^cpu\d+ ", self.text("proc/stat") or "", re.MULTILINE)) or None

    def cpu_times(self):
        """Ticks of all processors since the start: user, nice, system, idle, iowait, irq, softirq, steal."""
        match = re.match(r"cpu +([\d ]+)", self.text("proc/stat") or "")
        return [int(t) for t in match[1].split()] if match else None

    def cgroup(self, name):
        """A file of the process's own cgroup (version 2), or of its nearest ancestor that has a limit."""
        match = re.search(r"^0::(/.*)$", self.text("proc/self/cgroup") or "", re.MULTILINE)
        if match is None:
            return None
        folder = Path("sys/fs/cgroup") / match[1].lstrip("/")
        found = None
        while folder != Path("sys/fs"):
            text = self.text(folder / name)
            if text and not text.startswith("max"):
                return text
            found = found or text
            folder = folder.parent
        return found


def _wanted(name, value, wanted, effect, command):
    if value is None:
        return Finding(name, UNKNOWN, "not shown here", effect)
    if value in wanted:
        return Finding(name, FIT, str(value))
    return Finding(name, UNFIT, str(value), effect, command)


def check_governor(m):
    governor = m.text("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    return _wanted("governor", governor, ("performance",),
                   "the clock rate follows the load, so that the first seconds of a cell are slower",
                   "cpupower frequency-set -g performance")


def check_boost(m):
    boost = m.number("sys/devices/system/cpu/cpufreq/boost")
    no_turbo = m.number("sys/devices/system/cpu/intel_pstate/no_turbo")
    effect = "the clock rate depends on how many cores are busy: one thread looks too good"
    if boost is None and no_turbo is not None:
        return _wanted("boost", no_turbo, (1,), effect,
                       "echo 1 > /sys/devices/system/cpu/intel_pstate/no_turbo")
    return _wanted("boost", boost, (0,), effect, "echo 0 > /sys/devices/system/cpu/cpufreq/boost")


def check_smt(m):
    return _wanted("SMT", m.text("sys/devices/system/cpu/smt/control"),
                   ("off", "forceoff", "notsupported", "notimplemented"),
                   "beyond one thread a core, two threads share its caches and units",
                   "echo off > /sys/devices/system/cpu/smt/control")


def check_thp(m):
    return _wanted("transparent huge pages", m.chosen("sys/kernel/mm/transparent_hugepage/enabled"),
                   ("madvise", "never"),
                   "RSS and faults depend on how the kernel found 2 MiB of memory in one piece",
                   "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled")


def check_aslr(m):
    return _wanted("ASLR", m.number("proc/sys/kernel/randomize_va_space"), (2,),
                   "one memory layout for all processes: its luck does not average out over repetitions",
                   "sysctl kernel.randomize_va_space=2")


def check_overcommit(m):
    return _wanted("overcommit", m.number("proc/sys/vm/overcommit_memory"), (0, 1),
                   "allocators that reserve address space fail or fall back", "sysctl vm.overcommit_memory=0")


def check_map_count(m):
    limit = m.number("proc/sys/vm/max_map_count")
    if limit is None:
        return Finding("max_map_count", UNKNOWN, "not shown here")
    if limit >= 65530:
        return Finding("max_map_count", FIT, str(limit))
    return Finding("max_map_count", UNFIT, str(limit), "allocators that split mappings run out of them",
                   "sysctl vm.max_map_count=65530")


def check_swap(m):
    match = re.search(r"^SwapTotal:\s+(\d+) kB", m.text("proc/meminfo") or "", re.MULTILINE)
    if match is None:
        return Finding("swap", UNKNOWN, "not shown here")
    total_kib = int(match[1])
    if total_kib == 0:
        return Finding("swap", FIT, "none")
    return Finding("swap", UNFIT, f"{total_kib // 1024} MiB",
                   "the kernel may push resident memory out while cells run", "swapoff -a")


def check_numa_balancing(m):
    return _wanted("NUMA balancing", m.number("proc/sys/kernel/numa_balancing"), (0,),
                   "the kernel unmaps and moves pages while cells run: extra faults",
                   "sysctl kernel.numa_balancing=0")


def check_clock(m):
    path = "sys/devices/system/clocksource/clocksource0/current_clocksource"
    return _wanted("clock source", m.text(path), ("tsc", "arch_sys_counter"),
                   "reading the time is a system call, which latency samples contain",
                   f"echo tsc > /{path}")


def check_isolated(m):
    cpus = m.text("sys/devices/system/cpu/isolated")
    if cpus is None:
        return Finding("isolated CPUs", UNKNOWN, "not shown here")
    if cpus == "":
        return Finding("isolated CPUs", FIT, "none: the scheduler uses all of them")
    return Finding("isolated CPUs", UNFIT, cpus,
                   "pinned threads run there, others never do: two placements on different processors",
                   "boot without isolcpus=")


def check_cgroup_cpu(m):
    limit = m.cgroup("cpu.max")
    if limit is None:
        return Finding("cgroup CPU limit", UNKNOWN, "not shown here")
    if limit.startswith("max"):
        return Finding("cgroup CPU limit", FIT, "none")
    return Finding("cgroup CPU limit", UNFIT, limit,
                   "threads are stopped for the rest of a period when the quota is used up",
                   "run outside of the container, or without --cpus")


def check_cgroup_memory(m):
    limit = m.cgroup("memory.max")
    if limit is None:
        return Finding("cgroup memory limit", UNKNOWN, "not shown here")
    if limit.startswith("max"):
        return Finding("cgroup memory limit", FIT, "none")
    return Finding("cgroup memory limit", UNFIT, f"{int(limit) >> 20} MiB",
                   "large cells are killed, or reclaim memory while they run",
                   "run outside of the container, or without --memory")


def check_load(m):
    text, n_cpus = m.text("proc/loadavg"), m.n_cpus()
    if not text or not n_cpus:
        return Finding("load", UNKNOWN, "not shown here")
    load = float(text.split()[0])
    if load < 0.1 * n_cpus:
        return Finding("load", FIT, f"{load:.2f} on {n_cpus} CPUs")
    return Finding("load", UNFIT, f"{load:.2f} on {n_cpus} CPUs",
                   "other processes take the processors of cells", "top, and wait until nothing else runs")


def check_steal(m, wait=time.sleep):
    before = m.cpu_times()
    wait(0.5)
    after = m.cpu_times()
    if before is None or after is None or len(after) < 8:
        return Finding("steal", UNKNOWN, "not shown here")
    total = sum(after[:8]) - sum(before[:8])
    return _judge_steal((after[7] - before[7]) / total if total > 0 else 0.0)


def _judge_steal(share):
    if share <= 0.01:
        return Finding("steal", FIT, f"{100 * share:.1f} %")
    return Finding("steal", UNFIT, f"{100 * share:.1f} %",
                   "the hypervisor gives the processors to other guests", "move to a dedicated host")


def check_tunables(environment):
    text = environment.get("GLIBC_TUNABLES", "")
    if "glibc.pthread.rseq=0" not in text:
        return Finding("restartable sequences", FIT, "not turned off")
    return Finding("restartable sequences", UNFIT, text,
                   "allocators that use them per CPU fall back to another path",
                   "unset GLIBC_TUNABLES")


RECORDED = {
    "governor": "machine.cpu.governor", "boost": "machine.cpu.boost", "SMT": "machine.cpu.smt",
    "transparent huge pages": "machine.memory.thp_enabled", "ASLR": "machine.aslr",
    "overcommit": "machine.memory.overcommit", "max_map_count": "machine.memory.max_map_count",
    "swap": "machine.memory.swap_total_bytes", "NUMA balancing": "machine.memory.numa_balancing",
    "clock source": "machine.clock_source", "isolated CPUs": "machine.cpu.isolated",
    "cgroup CPU limit": "machine.cgroup.cpu.max", "cgroup memory limit": "machine.cgroup.memory.max",
    "load": "activity_before.load_average", "steal": "activity_before.steal_ticks",
    "restartable sequences": "environment"}
"""Where manifest.json has the fact behind each finding, whatever it is."""

CHECKS = (
    check_governor, check_boost, check_smt, check_thp, check_aslr, check_overcommit, check_map_count,
    check_swap, check_numa_balancing, check_clock, check_isolated, check_cgroup_cpu, check_cgroup_memory,
    check_load, check_steal)


def examine(machine, environment=os.environ):
    """All findings, in the order of CHECKS."""
    return [check(machine) for check in CHECKS] + [check_tunables(environment)]


class RecordedMachine(Machine):
    """The machine as the manifest of a run describes it. What a manifest does not hold is not shown."""

    def __init__(self, manifest):
        super().__init__()
        self.manifest = manifest
        memory = self._fact("machine", "memory") or {}
        cpu = self._fact("machine", "cpu") or {}
        total = memory.get("swap_total_bytes")
        load = self._fact("activity_before", "load_average")
        chosen = memory.get("thp_enabled")
        self.texts = {
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": cpu.get("governor"),
            "sys/devices/system/cpu/cpufreq/boost": cpu.get("boost"),
            "sys/devices/system/cpu/smt/control": cpu.get("smt"),
            "sys/kernel/mm/transparent_hugepage/enabled": f"[{chosen}]" if chosen else None,
            "proc/sys/kernel/randomize_va_space": self._fact("machine", "aslr"),
            "proc/sys/vm/overcommit_memory": memory.get("overcommit"),
            "proc/sys/vm/max_map_count": memory.get("max_map_count"),
            "sys/devices/system/cpu/isolated": cpu.get("isolated"),
            "proc/meminfo": None if total is None else f"SwapTotal: {total // 1024} kB",
            "proc/sys/kernel/numa_balancing": memory.get("numa_balancing"),
            "sys/devices/system/clocksource/clocksource0/current_clocksource":
                self._fact("machine", "clock_source"),
            "proc/loadavg": " ".join(map(str, load)) if load else None}

    def _fact(self, *path):
        value = self.manifest
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    def text(self, path):
        value = self.texts.get(path)
        return None if value is None else str(value)

    def n_cpus(self):
        """Of `0-3,8`: 5."""
        online = str(self._fact("machine", "cpu", "online") or "")
        ranges = re.findall(r"(\d+)(?:-(\d+))?", online)
        return sum(int(last or first) - int(first) + 1 for first, last in ranges) or None

    def cgroup(self, name):
        return self._fact("machine", "cgroup", name)

    def steal_share(self):
        """Of the processors' time from the start of the run to its end; None where that is not known."""
        ticks = [self._fact(when, "steal_ticks") for when in ("activity_before", "activity_after")]
        times = [self._fact(when) for when in ("started", "ended")]
        if None in ticks + times or not self.n_cpus():
            return None
        started, ended = (datetime.fromisoformat(time.replace("Z", "+00:00")) for time in times)
        total = (ended - started).total_seconds() * TICKS_PER_S * self.n_cpus()
        return max(0, ticks[1] - ticks[0]) / total if total > 0 else None


def check_recorded_steal(m):
    share = m.steal_share()
    return Finding("steal", UNKNOWN, "not shown here") if share is None else _judge_steal(share)


def examine_recorded(manifest):
    """Findings on the machine of a stored run, from its manifest."""
    machine = RecordedMachine(manifest)
    environment = {name: value or "" for name, value in (manifest.get("environment") or {}).items()}
    checks = [check_recorded_steal if check is check_steal else check for check in CHECKS]
    return [check(machine) for check in checks] + [check_tunables(environment)]
