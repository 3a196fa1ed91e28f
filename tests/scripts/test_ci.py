"""The GitHub Actions recipe: its shell steps, run here in their order for a small allocator in a repository
of its own."""
import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest
import yaml
from conftest import SCRIPTS

ROOT = SCRIPTS.parent
RECIPE = ROOT / "docs/ci/github-actions.yml"
FIXTURES = ROOT / "tests/fixtures"
MAKEFILE = """libmine.so: mine.c base.c base.h
\tgcc -D_GNU_SOURCE -O2 -std=c11 -fPIC -fno-builtin -ftls-model=initial-exec -shared -o $@ mine.c base.c
"""
ENV = {"EXACT_OPTIONS": "--workloads larson", "TIMED_OPTIONS": "--workloads larson --threads 1 --budget 0.1s"}


@pytest.fixture(scope="module")
def recipe():
    return yaml.safe_load(RECIPE.read_text(encoding="utf-8"))


def git(folder, *words):
    subprocess.run(["git", "-C", folder, "-c", "user.name=x", "-c", "user.email=x@x", *words], check=True,
                   capture_output=True)


def allocator(folder, head):
    """A repository at the merge of a pull request that makes mine.c the fixture `head`; it was `sound`."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    for name in ("base.c", "base.h"):
        shutil.copy(FIXTURES / name, folder)
    shutil.copy(FIXTURES / "sound.c", folder / "mine.c")
    (folder / "Makefile").write_text(MAKEFILE, encoding="utf-8")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "base")
    git(folder, "checkout", "-qb", "change")
    shutil.copy(FIXTURES / f"{head}.c", folder / "mine.c")
    git(folder, "commit", "-qam", "head", "--allow-empty")
    git(folder, "checkout", "-q", "main")
    git(folder, "merge", "-q", "--no-ff", "-m", "merge", "change")


class Job:
    """What a runner does with the steps of a job, as far as this recipe needs it."""

    def __init__(self, recipe, workspace, **env):
        self.steps = recipe["jobs"]["gate"]["steps"]
        self.workspace = workspace
        self.outputs, self.logs = {}, {}
        self.summary = workspace / "summary.md"
        self.env = {**os.environ, **recipe["env"], **ENV, "GITHUB_WORKSPACE": str(workspace),
                    "GITHUB_STEP_SUMMARY": str(self.summary), "HOME": str(workspace), **env}

    def run(self):
        """Exit code of the job. What only a fresh machine needs (`uses`, the first tools) is left out."""
        code = 0
        for step in self.steps:
            if "run" in step and step["name"] != "tools" and (code == 0 or step.get("if") == "always()"):
                code = self.run_step(step) or code
        return code

    def run_step(self, step):
        output = self.workspace / "output"
        output.write_text("")
        env = {name: re.sub(r"\$\{\{ steps\.(\w+)\.outputs\.(\w+) \}\}",
                            lambda m: self.outputs.get((m[1], m[2]), ""), value)
               for name, value in step.get("env", {}).items()}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            cwd=self.workspace / step.get("working-directory", "."),
            env={**self.env, **env, "GITHUB_OUTPUT": str(output)})
        self.logs[step["name"]] = done.stdout
        for line in output.read_text().splitlines():
            name, _, value = line.partition("=")
            self.outputs[step["id"], name] = value
        return done.returncode


def job(recipe, tmp_path, head, **env):
    allocator(tmp_path / "head", head)
    (tmp_path / "heapdyno").symlink_to(ROOT)
    return Job(recipe, tmp_path, **env)


def test_the_recipe_has_the_shape_that_a_runner_expects(recipe):
    assert recipe[True] == "pull_request"    # YAML 1.1 reads `on` as a truth value
    assert set(recipe["env"]) == {"BUILD", "LIBRARY", "EXACT_OPTIONS", "TIMED_OPTIONS",
                                  "FAIL_ON_INCONCLUSIVE"}
    assert all(isinstance(value, str) for value in recipe["env"].values())
    for step in recipe["jobs"]["gate"]["steps"]:
        assert set(step) <= {"name", "id", "if", "uses", "with", "run", "env", "working-directory"}
        assert ("uses" in step) != ("run" in step)
        assert "${{" not in step.get("run", ""), "an expression in a script is an injection"


def test_its_shell_is_clean(recipe):
    for step in recipe["jobs"]["gate"]["steps"]:
        if "run" in step:
            done = subprocess.run(["shellcheck", "--shell=bash", "-"], input=step["run"], text=True,
                                  capture_output=True)
            assert done.returncode == 0, done.stdout


def test_a_head_that_needs_more_instructions_fails_the_job(recipe, tmp_path):
    """Counted, it is worse; timed for a tenth of a second, nothing can be told, and that is neutral."""
    j = job(recipe, tmp_path, "spin")
    assert j.run() == 1, j.logs
    assert j.outputs == {("exact", "status"): "1", ("timed", "status"): "3"}, j.logs
    assert "::error title=counted (exact gate)::FAIL" in j.logs["verdict"]
    assert "::notice title=timed (gate)::INCONCLUSIVE" in j.logs["verdict"]
    summary = j.summary.read_text()
    assert "## FAIL: lib.cand against lib.base, counted" in summary
    assert "## INCONCLUSIVE: lib.cand against lib.base" in summary
    for gate in ("exact", "timed"):
        ElementTree.parse(tmp_path / "gates" / gate / "gate.xml")
    page = (tmp_path / "gates/report.html").read_text()
    assert "2 runs, each for itself" in page and "INCONCLUSIVE" in page


@pytest.mark.parametrize("exact, timed, blocks, code, words", [
    ("0", "0", "no", 0, ["notice title=counted (exact gate)::PASS", "notice title=timed (gate)::PASS"]),
    ("0", "3", "no", 0, ["notice title=timed (gate)::INCONCLUSIVE"]),
    ("3", "0", "yes", 1, ["error title=counted (exact gate)::INCONCLUSIVE", "timed (gate)::PASS"]),
    ("0", "1", "no", 1, ["error title=timed (gate)::FAIL"]),
    ("4", "0", "no", 1, ["error title=counted (exact gate)::the gate did not run to its end (exit code 4)"]),
    ("0", "2", "no", 1, ["error title=timed (gate)::the gate did not run to its end (exit code 2)"]),
    ("", "", "no", 1, ["the gate did not run to its end (exit code )"])])
def test_the_verdict_of_the_job(recipe, tmp_path, exact, timed, blocks, code, words):
    j = Job(recipe, tmp_path, FAIL_ON_INCONCLUSIVE=blocks)
    j.outputs = {("exact", "status"): exact, ("timed", "status"): timed}
    assert j.run_step(j.steps[-1]) == code
    for text in words:
        assert text in j.logs["verdict"]


def test_a_head_that_does_not_build_fails_before_anything_is_measured(recipe, tmp_path):
    j = job(recipe, tmp_path, "sound", BUILD="false")
    assert j.run() != 0
    assert "count" not in j.logs and "verdict" not in j.logs and "report" in j.logs
    assert not (tmp_path / "gates").exists()
