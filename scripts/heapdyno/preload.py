"""Programs under an allocator by LD_PRELOAD, with proof that their malloc is its malloc."""
import os
import re
import subprocess

from heapdyno.run import RunError

ALLOCATORS = ("arena", "glibc", "jemalloc", "mimalloc", "tcmalloc", "tbbmalloc")
TIMEOUT_S = 300
BOUND = re.compile(r"binding file (\S+) \[\d+\] to (\S+) \[\d+\]: normal symbol `(malloc|free)'")


def parse_list(text):
    """{name: {"path", "version", "build"}} of what `run-bench --list` found; "" for what it does not say."""
    found, name = {}, None
    for line in text.splitlines():
        start = re.match(r"[* ] (\S+) {2,}\S", line)
        if line == "Workloads:":
            break
        if start:
            name = start[1]
            continue
        key = re.match(r" {4}(found|version|build): +(\S.*)", line)
        if key and name:
            entry = found.setdefault(name, {"path": "", "version": "", "build": ""})
            entry["path" if key[1] == "found" else key[1]] = key[2]
    return {name: entry for name, entry in found.items() if entry["path"].startswith("/")}


def environment(path, conf=""):
    """The variables of a child that runs on the library `path`; `conf` is its MALLOC_CONF."""
    kept = {k: v for k, v in os.environ.items()
            if not k.startswith(("LD_", "MALLOC_", "MIMALLOC_", "TCMALLOC_", "TBB_", "GLIBC_"))}
    return {**kept, "LD_PRELOAD": path, "LC_ALL": "C", **({"MALLOC_CONF": conf} if conf else {})}


def run(command, path, conf=""):
    """Standard output of a program on the library `path`. RunError when it fails."""
    try:
        done = subprocess.run(command, env=environment(path, conf), capture_output=True, text=True,
                              timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise RunError(f"{' '.join(map(str, command))} with {path}: not done in {TIMEOUT_S} s") from None
    if done.returncode != 0 or done.stderr:
        raise RunError(f"{' '.join(map(str, command))} with {path}: exit code {done.returncode}: "
                       f"{done.stderr.strip()}")
    return done.stdout


def prove(command, path):
    """RunError unless the dynamic linker binds malloc and free of the program `command[0]` to the library
    `path`."""
    done = subprocess.run(command, capture_output=True, text=True,
                          env={**environment(path), "LD_DEBUG": "bindings", "LD_BIND_NOW": "1"})
    bound = bindings(done.stderr, str(command[0]))
    expected = os.path.realpath(path)
    for symbol in ("malloc", "free"):
        if symbol not in bound or os.path.realpath(bound[symbol]) != expected:
            raise RunError(f"{command[0]}: {symbol} is that of {bound.get(symbol, 'no library')}, not {path}")


def bindings(text, program):
    """{symbol: path} of the program itself, from the linker's LD_DEBUG=bindings."""
    return {symbol: to for source, to, symbol in BOUND.findall(text) if source == program}
