"""The command lines: what they print and write, and their exit codes."""
import os
import subprocess

import golden
import pytest
from conftest import SCRIPTS

from heapdyno.summary import read_summary


def rows():
    return golden.timed("glibc", 1, [10e6, 12e6]) + golden.timed("arena", 1, [20e6, 22e6])


def test_summarize_writes_and_prints(tmp_path, script):
    done = script("summarize.py", golden.write_run(tmp_path, rows()))
    assert (done.returncode, done.stderr) == (0, "")
    assert "run golden on testbox (Test CPU, 2 cores, 2 PUs)" in done.stdout
    assert "21.0*±5%" in done.stdout
    summary = read_summary(tmp_path / "summary.csv")
    assert sorted(summary["median"]) == [11e6, 21e6]
    assert (tmp_path / "summary.gp").exists()


def test_quiet_prints_nothing(tmp_path, script):
    done = script("summarize.py", "--quiet", golden.write_run(tmp_path, rows()))
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", ["summarize.py", "plot.py"])
def test_unreadable_run_is_exit_code_2_and_one_line(tmp_path, script, name):
    done = script(name, tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"{name[:-3]}: {tmp_path}/samples.csv: No such file or directory\n"
    assert list(tmp_path.iterdir()) == []


def test_warnings_go_to_stderr_by_name(tmp_path, script):
    golden.write_run(tmp_path, rows())
    (tmp_path / "manifest.json").unlink()
    done = script("summarize.py", tmp_path)
    assert done.returncode == 0
    assert done.stderr.startswith("summarize: warning [no-manifest] ")


def test_plain_ascii_terminal(tmp_path):
    golden.write_run(tmp_path, rows())
    done = subprocess.run([SCRIPTS / "python", SCRIPTS / "summarize.py", tmp_path], capture_output=True,
                          env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"21.0*+-5%" in done.stdout


def test_run_without_a_value_draws_nothing_and_says_so(tmp_path, script):
    done = script("plot.py", golden.write_run(tmp_path, golden.failed("glibc", 1, "crash", "signal 11")))
    assert (done.returncode, done.stdout) == (0, "")
    assert "no figure: no cell of the run has a value" in done.stderr


def test_make_plots_wants_a_run():
    done = subprocess.run(["make", "-C", SCRIPTS.parent, "plots"], capture_output=True, text=True)
    assert done.returncode == 2 and "usage: make plots RUN=" in done.stderr


def test_wrapper_passes_by_an_interpreter_without_the_modules(tmp_path):
    """A python3 first on PATH that cannot import them is not taken."""
    fake = tmp_path / "python3"
    fake.write_text("#!/bin/sh\necho taken; exit 1\n")
    fake.chmod(0o755)
    done = subprocess.run([SCRIPTS / "python", "-c", "import pandas; print('right')"], capture_output=True,
                          text=True, env={**os.environ, "PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert (done.returncode, done.stdout) == (0, "right\n")


@pytest.mark.parametrize("command, told", [
    (("export.py", "RUN", "--format", "jnit"),
     "--format: 'jnit': allowed are gobench, gbench, junit, markdown, bencher, github-action-benchmark "
     "(did you mean junit?)"),
    (("scaling.py", "RUN", "--format", "mardown"), "are text, markdown, csv (did you mean markdown?)"),
    (("scaling.py", "RUN", "--format", "html"), "allowed are text, markdown, csv\n"),
    (("gate.py", "--baseline", "a", "--candidate", "b", "--load", "prelaod"), "(did you mean preload?)"),
    (("paper.py", "--placement", "compcat"), "cores, compact, scatter, none (did you mean compact?)"),
    (("paper.py", "--correction", "home"), "allowed are bh, holm (did you mean holm?)")])
def test_who_wrote_nearly_a_word_is_told_which(script, command, told):
    done = script(*command)
    assert done.returncode == 2 and told in done.stderr


def test_a_closed_pipe_is_never_exit_code_0(tmp_path):
    """Code 0 would be the PASS of a gate whose verdict nobody could read."""
    golden.write_run(tmp_path, rows())
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run([SCRIPTS / "python", SCRIPTS / "summarize.py", tmp_path], stdout=write_end,
                          stderr=subprocess.PIPE, text=True)
    os.close(write_end)
    assert (done.returncode, done.stderr) == (141, "")
    assert (tmp_path / "summary.csv").exists()
