"""redis-server under an allocator: requests per second and resident bytes."""
import csv
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager

from heapdyno import preload
from heapdyno.programs import REDIS_TESTS
from heapdyno.run import RunError

N_KEYS = 1000000
KEY_BYTES = 100
N_REQUESTS = {"lrange_100": 20000}
"""Of a test; 200,000 otherwise. One LRANGE_100 sends 100 elements."""
START_S = 10


def find_redis():
    """(redis-server, redis-benchmark), or None."""
    found = shutil.which("redis-server"), shutil.which("redis-benchmark")
    return found if all(found) else None


def _free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def _ask(port, *words):
    """The first line of the server's answer, or all of a bulk. OSError when there is none."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as s:
        s.sendall((" ".join(map(str, words)) + "\r\n").encode())
        with s.makefile("rb") as answer:
            line = answer.readline().decode().rstrip()
            if line.startswith("-"):
                raise RunError(f"redis-server: {words[0]}: {line[1:]}")
            return answer.read(int(line[1:])).decode() if line.startswith("$") else line


def _wait_until_it_serves(process, port):
    """Until the process itself, and no other server, answers on the port."""
    end = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < end:
        try:
            if f"process_id:{process.pid}\r" in _ask(port, "INFO", "server"):
                return
        except OSError:
            pass
        time.sleep(0.02)
    raise RunError(f"redis-server does not serve on port {port} after {START_S} s")


@contextmanager
def serve(server, path):
    """(process, port) of a server on the library `path` that keeps nothing on disk."""
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="heapdyno-redis-") as folder:
        process = subprocess.Popen(
            [server, "--bind", "127.0.0.1", "--port", str(port), "--dir", folder, "--save", "",
             "--appendonly", "no", "--enable-debug-command", "local", "--daemonize", "no"],
            env=preload.environment(path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait_until_it_serves(process, port)
            yield process, port
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _resident_bytes(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("Rss:"))


def _requests_per_s(benchmark, port, test):
    command = [benchmark, "-h", "127.0.0.1", "-p", str(port), "-P", "16", "-r", "100000", "-d", "100",
               "-n", str(N_REQUESTS.get(test, 200000)), "-t", test, "--csv"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=preload.TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise RunError(f"{' '.join(command)}: not done in {preload.TIMEOUT_S} s") from None
    rates = {row[0]: float(row[1]) for row in csv.reader(done.stdout.splitlines())
             if row and row[0] != "test"}
    if done.returncode != 0 or REDIS_TESTS[test] not in rates:
        raise RunError(f"{' '.join(command)}: exit code {done.returncode}, no {REDIS_TESTS[test]}: "
                       f"{done.stderr.strip()}")
    return rates[REDIS_TESTS[test]]


def measure(redis, path):
    """Yields (measure, value) of a server of its own: each test, then a fill of N_KEYS keys and FLUSHALL."""
    server, benchmark = redis
    with serve(server, path) as (process, port):
        for test in REDIS_TESTS:
            yield f"redis_{test}_rps", _requests_per_s(benchmark, port, test)
        _ask(port, "FLUSHALL")
        _ask(port, "DEBUG", "POPULATE", N_KEYS, "key", KEY_BYTES)
        if _ask(port, "DBSIZE") != f":{N_KEYS}":
            raise RunError(f"redis-server with {path}: DBSIZE is not {N_KEYS} after the fill")
        yield "redis_filled_rss_bytes", _resident_bytes(process.pid)
        _ask(port, "FLUSHALL")
        time.sleep(2)
        yield "redis_flushed_rss_bytes", _resident_bytes(process.pid)
