"""What each command does with a run that cannot be trusted: a clear error or a named warning, never a wrong
number."""
import json

import golden
import numpy as np
import pytest

import compare
import export
import gate
import scaling
import summarize
from heapdyno.run import RunError


def rows():
    """Of a gate: twelve pairs in which the candidate takes a tenth longer."""
    rng = np.random.default_rng(11)
    found = []
    for i in range(12):
        for j, allocator in enumerate(("base", "cand")):
            wall_ns = 4e8 * (1 + 0.1 * j) * np.exp(0.004 * rng.standard_normal())
            found.append(golden.row(
                allocator=allocator, block=1 + i // 2, slot=i % 2 * 2 + j, repetition=i + 1, ops=10 ** 7,
                ops_per_s=1e16 / wall_ns, wall_ns=wall_ns, run_delay_ns=0, ops_target=10 ** 7))
    return found


def judge(folder):
    return gate.main(["--replay", str(folder), "--baseline", "base", "--candidate", "cand"])


def against_a_good_one(folder):
    return compare.main([str(folder), str(good(folder.parent / "good"))])


COMMANDS = {"gate": judge, "compare": against_a_good_one, "summarize": lambda f: summarize.main([str(f)]),
            "export": lambda f: export.main([str(f), "--format", "markdown"]),
            "scaling": lambda f: scaling.main([str(f)])}
EXIT = {"gate": 1, "compare": 0, "summarize": 0, "export": 0, "scaling": 0}


def good(folder):
    golden.write_run(folder, rows())
    (folder / "manifest.json").write_text(json.dumps({"host": "testbox", "environment": {}}))
    return folder


def changed(tmp_path, change):
    """A run whose rows went through `change`."""
    folder = golden.write_run(tmp_path / "run", change(rows()))
    (folder / "manifest.json").write_text(json.dumps({"host": "testbox", "environment": {}}))
    return folder


@pytest.fixture(params=COMMANDS)
def command(request):
    return request.param


def test_a_good_run_is_taken_without_a_word(tmp_path, command, capsys):
    assert COMMANDS[command](good(tmp_path / "run")) == EXIT[command]
    assert "warning" not in capsys.readouterr().err


def test_another_schema(tmp_path, command):
    folder = changed(tmp_path, lambda rows: [{**r, "schema": "2"} for r in rows])
    with pytest.raises(RunError, match="schema '2' is not one these scripts understand"):
        COMMANDS[command](folder)


def test_two_schemas_in_one_run(tmp_path, command):
    folder = changed(tmp_path, lambda rows: [{**rows[0], "schema": "2"}] + rows[1:])
    with pytest.raises(RunError, match="rows of different schemas: 1, 2"):
        COMMANDS[command](folder)


def test_a_torn_last_line(tmp_path, command, capsys):
    path = good(tmp_path / "run") / "samples.csv"
    path.write_bytes(path.read_bytes()[:-9])
    COMMANDS[command](path.parent)
    assert "warning [torn-line]" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["nan", "inf"])
def test_a_value_that_is_no_number(tmp_path, command, text, capsys):
    folder = changed(tmp_path, lambda rows: (
        rows[:4] + [{**rows[4], "ops_per_s": text, "ops": text}] + rows[5:]))
    COMMANDS[command](folder)
    said = capsys.readouterr()
    assert "warning [bad-value]" in said.err and "nan" not in said.out and "inf" not in said.out


def test_a_cell_that_is_there_twice(tmp_path, command, capsys):
    COMMANDS[command](changed(tmp_path, lambda rows: rows + rows[:1]))
    assert "warning [duplicate]" in capsys.readouterr().err
    (tmp_path / "2").mkdir()
    folder = changed(tmp_path / "2", lambda rows: rows + [{**rows[0], "ops_per_s": "1e6"}])
    with pytest.raises(RunError, match="is there twice, with different values"):
        COMMANDS[command](folder)


def test_no_manifest(tmp_path, command, capsys):
    folder = good(tmp_path / "run")
    (folder / "manifest.json").unlink()
    if command in ("compare", "export", "scaling"):
        with pytest.raises(RunError, match="manifest.json: missing"):
            COMMANDS[command](folder)
    else:
        COMMANDS[command](folder)
        assert "warning [no-manifest]" in capsys.readouterr().err


def test_a_pair_without_a_number_speaks_for_no_side(tmp_path, capsys):
    """Eleven pairs are left, too few for the first look."""
    for column, text in (("ops", "nan"), ("ops", "0"), ("wall_ns", ""), ("run_delay_ns", "")):
        (tmp_path / f"{column}{text}").mkdir()
        folder = changed(tmp_path / f"{column}{text}", lambda rows: [{**rows[0], column: text}] + rows[1:])
        assert judge(folder) == 3
        assert "only 11 pairs are there" in capsys.readouterr().out


def test_a_run_that_is_no_gate_is_not_judged(tmp_path):
    header = [c for c in golden.HEADER if c != "run_delay_ns"]
    with pytest.raises(RunError, match="these columns are missing: run_delay_ns"):
        judge(golden.write_run(tmp_path / "run", rows(), header=header))


@pytest.mark.parametrize("path, value", [
    ("environment", None), ("machine.cgroup.cpu.max", "50000 100000"), ("machine.aslr", 0),
    ("build.workload_flags", "-O0")])
def test_other_conditions_are_not_compared(tmp_path, path, value):
    folders = [good(tmp_path / name) for name in "ab"]
    manifest = {"host": "testbox", "environment": {}, "machine": {"aslr": 2, "cgroup": {"cpu.max": "max"}},
                "build": {"workload_flags": "-O2"}}
    (folders[0] / "manifest.json").write_text(json.dumps(manifest))
    if path == "environment":
        manifest["environment"] = {"MALLOC_CONF": "x"}
    elif path == "machine.cgroup.cpu.max":
        manifest["machine"]["cgroup"]["cpu.max"] = value
    else:
        group, key = path.split(".")
        manifest[group][key] = value
    (folders[1] / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RunError, match=rf"the conditions differ: {path}(\.MALLOC_CONF)? is"):
        compare.main([str(f) for f in folders])


@pytest.mark.parametrize("column, words", [
    ("wrap", "wrap is '' in A and 'nice' in B"), ("ambient", "ambient is '' in A and 'nice' in B"),
    ("load", "load is 'dlopen' in A and 'nice' in B"),
    ("membind", "membind is 'first-touch' in A and 'nice' in B"),
    ("placement", "placement is 'cores' in A and 'nice' in B")])
def test_cells_of_other_kinds_are_not_compared(tmp_path, column, words):
    folder = changed(tmp_path, lambda rows: [golden.row(**{**r, column: "nice", "cell_id": ""})
                                             for r in rows])
    with pytest.raises(RunError, match="no cell in common: ") as error:
        compare.main([str(good(tmp_path / "good")), str(folder)])
    assert words in str(error.value)
