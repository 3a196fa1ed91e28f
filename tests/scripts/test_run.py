"""Bad input: a clear error or a named warning, never a wrong number."""
import csv

import golden
import pytest

from heapdyno.run import RunError, read_run


def good_rows():
    return golden.timed("glibc", 1, [10e6, 12e6, 11e6]) + golden.audit("glibc", 1, 4 * golden.MIB)


def names(run):
    return [w.name for w in run.warnings]


def test_a_good_run_reads_without_warning(tmp_path):
    run = read_run(golden.write_run(tmp_path / "run", good_rows()), need_manifest=True)
    assert run.warnings == []
    assert len(run.samples) == 4
    assert run.samples["ops_per_s"].tolist()[:3] == [10e6, 12e6, 11e6]
    assert run.samples["ops_per_s"].isna().tolist() == [False, False, False, True]
    assert run.topology.n_pus == golden.N_PUS
    assert (run.run_id, run.host, run.n_planned) == ("golden", "testbox", 4)


def test_no_folder(tmp_path):
    with pytest.raises(RunError, match="nowhere: no such folder"):
        read_run(tmp_path / "nowhere")


def test_no_samples(tmp_path):
    with pytest.raises(RunError, match="samples.csv: No such file"):
        read_run(tmp_path)


@pytest.mark.parametrize("text, message", [
    ("", "the file is empty"), ("schema,run_id", "no whole header line")])
def test_samples_without_a_header(tmp_path, text, message):
    (tmp_path / "samples.csv").write_text(text)
    with pytest.raises(RunError, match=message):
        read_run(tmp_path)


def test_header_alone(tmp_path):
    with pytest.raises(RunError, match="no measured rows yet"):
        read_run(golden.write_run(tmp_path, []))


@pytest.mark.parametrize("column", ["schema", "ops_per_s", "status", "threads", "library_sha256"])
def test_missing_column_is_named(tmp_path, column):
    header = [c for c in golden.HEADER if c != column]
    with pytest.raises(RunError, match=f"required columns are missing: {column}"):
        read_run(golden.write_run(tmp_path, good_rows(), header=header))


def test_unknown_columns_are_ignored(tmp_path):
    header = ["colour"] + golden.HEADER + ["mood"]
    run = read_run(golden.write_run(tmp_path, good_rows(), header=header))
    assert run.warnings == [] and len(run.samples) == 4


def test_column_twice(tmp_path):
    with pytest.raises(RunError, match="appear twice in the header: ops_per_s"):
        read_run(golden.write_run(tmp_path, good_rows(), header=golden.HEADER + ["ops_per_s"]))


def test_unknown_schema(tmp_path):
    with pytest.raises(RunError, match="schema '2' is not one"):
        read_run(golden.write_run(tmp_path, golden.timed("glibc", 1, [1e6], schema="2")))


def test_two_schemas(tmp_path):
    rows = golden.timed("glibc", 1, [1e6]) + golden.timed("glibc", 2, [1e6], schema="2")
    with pytest.raises(RunError, match="rows of different schemas: 1, 2"):
        read_run(golden.write_run(tmp_path, rows))


@pytest.mark.parametrize("n_cut", [1, 2, 5, 40])
def test_torn_last_line_is_left_out(tmp_path, n_cut):
    """Even if only the line's end is missing: the last field may be cut short."""
    path = golden.write_run(tmp_path, good_rows()) / "samples.csv"
    path.write_bytes(path.read_bytes()[:-n_cut])
    run = read_run(tmp_path)
    assert names(run) == ["torn-line"]
    assert "samples.csv:5:" in str(run.warnings[0])
    assert len(run.samples) == 3


def test_line_torn_in_the_middle_is_refused(tmp_path):
    path = golden.write_run(tmp_path, good_rows()) / "samples.csv"
    lines = path.read_text().splitlines(keepends=True)
    lines[2] = lines[2][:60]
    path.write_text("".join(lines))
    wanted = rf"samples.csv:3: \d+ fields, but the header has {len(golden.HEADER)}"
    with pytest.raises(RunError, match=wanted):
        read_run(tmp_path)


def test_open_quote_is_refused(tmp_path):
    path = golden.write_run(tmp_path, good_rows()) / "samples.csv"
    lines = path.read_text().splitlines(keepends=True)
    lines[1] = lines[1].replace("golden", '"golden', 1)
    path.write_text("".join(lines))
    with pytest.raises(RunError, match="not well-formed CSV"):
        read_run(tmp_path)


def test_quoted_fields_and_crlf(tmp_path):
    rows = good_rows() + golden.failed("mine, too", 1, "crash", 'signal 11 in "free"')
    path = golden.write_run(tmp_path, rows) / "samples.csv"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    run = read_run(tmp_path)
    assert run.samples["allocator"].iloc[-1] == "mine, too"
    assert run.samples["why"].iloc[-1] == 'signal 11 in "free"'
    assert run.warnings == []


def test_equal_duplicates_count_once(tmp_path):
    rows = good_rows()
    run = read_run(golden.write_run(tmp_path, rows + [rows[0]], n_planned=4))
    assert names(run) == ["duplicate"]
    assert len(run.samples) == 4


def test_contradicting_duplicates_are_refused(tmp_path):
    rows = good_rows()
    with pytest.raises(RunError, match="samples.csv:6: .*repetition 1 is there twice, with different values"):
        read_run(golden.write_run(tmp_path, rows + [dict(rows[0], ops_per_s="99e6")]))


def test_failed_or_contaminated_row_beside_its_repeat_is_no_duplicate(tmp_path):
    rows = good_rows()
    extra = [dict(rows[0], status="contaminated"), dict(rows[1], status="crash", ops_per_s="")]
    run = read_run(golden.write_run(tmp_path, rows + extra))
    assert run.warnings == [] and len(run.samples) == 6


def test_cell_id_for_two_cells_is_refused(tmp_path):
    rows = good_rows()
    with pytest.raises(RunError, match="is used for different cells"):
        read_run(golden.write_run(tmp_path, rows + [dict(rows[0], threads=2)]))


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999", "fast"])
def test_value_that_is_no_number_counts_as_not_measured(tmp_path, value):
    rows = good_rows()
    rows[1]["ops_per_s"] = value
    run = read_run(golden.write_run(tmp_path, rows))
    assert names(run) == ["bad-value"]
    assert "samples.csv:3: ops_per_s is" in str(run.warnings[0])
    assert run.samples["ops_per_s"].isna().tolist() == [False, True, False, True]


@pytest.mark.parametrize("column, value", [("threads", ""), ("threads", "many"), ("repetition", "nan")])
def test_row_without_a_place_is_refused(tmp_path, column, value):
    rows = good_rows()
    rows[1].update({column: value, "cell_id": "other"})
    with pytest.raises(RunError, match=f"samples.csv:3: {column} is"):
        read_run(golden.write_run(tmp_path, rows))


def test_unknown_status_is_a_failure_with_a_warning(tmp_path):
    run = read_run(golden.write_run(tmp_path, good_rows() + golden.failed("glibc", 2, "melted", "")))
    assert names(run) == ["unknown-status"]


def test_two_machines_are_refused(tmp_path):
    rows = good_rows() + golden.timed("glibc", 2, [1e6], host="otherbox")
    with pytest.raises(RunError, match=r"rows of 2 machines \(otherbox, testbox\)"):
        read_run(golden.write_run(tmp_path, rows))


def test_two_builds_of_a_library_are_refused(tmp_path):
    rows = good_rows() + golden.timed("glibc", 2, [1e6], library_sha256="f00d")
    with pytest.raises(RunError, match="glibc .dlopen. was measured with 2 different builds"):
        read_run(golden.write_run(tmp_path, rows))


def test_missing_manifest_is_a_warning_or_an_error_as_asked(tmp_path):
    golden.write_run(tmp_path, good_rows())
    (tmp_path / "manifest.json").unlink()
    assert names(read_run(tmp_path)) == ["no-manifest"]
    with pytest.raises(RunError, match="manifest.json: missing"):
        read_run(tmp_path, need_manifest=True)


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_broken_manifest(tmp_path, text):
    golden.write_run(tmp_path, good_rows())
    (tmp_path / "manifest.json").write_text(text)
    assert names(read_run(tmp_path)) == ["no-manifest"]


def test_missing_topology_and_plan_are_warnings(tmp_path):
    golden.write_run(tmp_path, good_rows())
    (tmp_path / "topology.xml").write_text("<topology>")
    (tmp_path / "plan.csv").unlink()
    run = read_run(tmp_path)
    assert sorted(names(run)) == ["no-plan", "no-topology"]
    assert run.topology is None and run.n_planned is None


def test_header_is_the_dictionary(tmp_path):
    """The columns of these tests, and those the scripts ask for, are those the driver documents."""
    from conftest import SCRIPTS
    from heapdyno import columns
    text = (SCRIPTS.parent / "results" / "columns.md").read_text()
    documented = [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]
    assert golden.HEADER == documented
    assert set(columns.REQUIRED) | set(columns.NUMBERS) <= set(documented)


def test_csv_written_by_the_helper_is_read_back_whole(tmp_path):
    golden.write_run(tmp_path, good_rows())
    with (tmp_path / "samples.csv").open(newline="") as file:
        assert {len(record) for record in csv.reader(file)} == {len(golden.HEADER)}
