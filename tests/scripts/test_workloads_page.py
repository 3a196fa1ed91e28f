"""docs/workloads.md against the registry, as --list prints it: an entry for each workload, and no other."""
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "workloads.md").read_text(encoding="utf-8")


def registry():
    """{name: {"origin", "operation", "groups", "params": {name: default}, "sets": {name}}}."""
    text = subprocess.run([ROOT / "run-bench", "--list"], capture_output=True, text=True, check=True).stdout
    found = {}
    for line in text.partition("\nWorkloads:\n")[2].splitlines():
        if head := re.match(r"  ([a-z0-9-]+), version \d+: ", line):
            row = found[head[1]] = {"params": {}, "sets": set()}
        elif field := re.match(r"    (origin|operation|groups): +(.*)", line):
            row[field[1]] = field[2]
        elif param := re.match(r"    --param [a-z0-9-]+\.(\w+)=(-?\d+)$", line):
            row["params"][param[1]] = int(param[2])
        elif preset := re.match(r"    ([a-z0-9-]+@[a-z0-9-]+): ", line):
            row["sets"].add(preset[1])
    return found


def sections():
    """{workload: text of its section}; a heading may name several: `calloc-fresh, calloc-recycled`, `a and
    b`, or `false-sharing-active, -passive`."""
    found = {}
    for part in re.split(r"^## ", PAGE, flags=re.M)[1:]:
        heading, _, text = part.partition("\n")
        names = re.split(r", | and ", heading)
        stem = names[0].rpartition("-")[0]
        found.update({stem + name if name.startswith("-") else name: text for name in names})
    return found


WORKLOADS = registry()
SECTIONS = sections()


def table_rows(text):
    """The cells of each row of the tables of a text, without backquotes."""
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")]
            for line in text.splitlines() if line.startswith("|")]


def numbers(text):
    """All of a text: `16, 2 MiB` are 16 and 2097152, `10,000` is one."""
    units = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
    return [int(n.replace(",", "")) * units[unit]
            for n, unit in re.findall(r"(-?\d+(?:,\d{3})*)(?: (KiB|MiB|GiB))?", text)]


def test_the_registry_was_read():
    assert len(WORKLOADS) > 30 and WORKLOADS["larson"]["params"]["chunks"] == 1000
    assert "larson@paper" in WORKLOADS["larson"]["sets"]


def test_the_page_has_a_row_and_a_section_for_each_workload_and_for_no_other():
    overview = {row[0]: row for row in table_rows(PAGE.partition("\n## ")[0]) if row[0] in WORKLOADS}
    rows = {row[0] for row in table_rows(PAGE.partition("\n## ")[0])} - {"workload", "---"}
    assert rows == set(WORKLOADS) == set(overview)
    about = {"The bounds: null", "floor", "Adding a workload"}
    assert set(SECTIONS) - about == set(WORKLOADS)
    for name, row in overview.items():
        assert row[1].replace(" ", "") == WORKLOADS[name]["groups"], name


@pytest.mark.parametrize("name", WORKLOADS)
def test_an_entry_says_what_it_supports_and_what_it_does_not(name):
    for words in ("Supports:", "Does not support:"):
        _, found, claim = SECTIONS[name].partition(f"\n{words}")
        assert found and len(claim.split("\n")[0].split()) > 3, words


@pytest.mark.parametrize("name", WORKLOADS)
def test_an_entry_names_the_origin(name):
    origin = WORKLOADS[name]["origin"]
    if origin == "heapdyno":
        words = ["defined here"]
    else:
        words = re.findall(r"\b[A-Z]\w{2,}|\b(?:mimalloc-bench|gperftools|snmalloc|rptest|glibc|allocbench"
                           r"|fleetbench|mstress)\b", origin)
    assert words and words[0].lower() in SECTIONS[name].lower(), origin


@pytest.mark.parametrize("name", WORKLOADS)
def test_an_entry_has_each_parameter_with_its_default(name):
    documented = {}
    for row in table_rows(SECTIONS[name]):
        for parameter in re.split(r", ?", row[0]):
            documented.setdefault(parameter, row[1:])
    for parameter, default in WORKLOADS[name]["params"].items():
        assert parameter in documented, parameter
        *values, _ = documented[parameter]  # a column a workload, where a section has two
        assert default in numbers(", ".join(values)), (parameter, default, documented[parameter])


@pytest.mark.parametrize("name", [n for n, row in WORKLOADS.items() if row["sets"]])
def test_an_entry_has_each_parameter_set(name):
    for preset in WORKLOADS[name]["sets"]:
        short = preset.partition("@")[2]
        stem, _, ending = short.rpartition("-")
        text = SECTIONS[name] + (PAGE.partition("\n## ")[0] if short == "quick" else "")
        forms = (short, f"@{short}", f"-{ending}", f"{stem}-SIZE")  # `larson@x-64`, `-512`; `lifo-SIZE`
        assert preset in text or any(f"`{form}`" in text for form in forms), preset


def test_the_page_names_no_set_and_no_parameter_that_does_not_exist():
    sets = {preset for row in WORKLOADS.values() for preset in row["sets"]}
    assert set(re.findall(r"\b([a-z0-9-]+@[a-z0-9-]+)\b", PAGE)) - {"NAME@SET"} <= sets
    for name, parameter in re.findall(r"--param ([a-z0-9-]+)\.(\w+)=", PAGE):
        assert parameter in WORKLOADS[name]["params"], (name, parameter)
