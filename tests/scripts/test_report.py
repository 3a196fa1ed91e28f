"""The report: verdict first, nothing left out, nothing fetched; what chromium shows of it."""
import base64
import gzip
import json
import re
import subprocess

import golden
import pytest
import report
from browser import Browser
from conftest import SCRIPTS

from heapdyno import inline_svg
from heapdyno.draw import Figure
from heapdyno.figures import figures
from heapdyno.report import render
from heapdyno.run import RunError, read_run
from heapdyno.summary import summarize

ROOT = SCRIPTS.parent


def rows(**values):
    found = []
    for i, name in enumerate(("arena", "glibc", "jemalloc", "null")):
        for t in (1, 2, 4):
            found += golden.timed(name, t, [(i + 1) * 10e6 * f for f in (1, 1.01, 1.02)], **values)
            found += golden.audit(name, t, (i + t) * golden.MIB, **values)
    return found


def page_of(*folders):
    """The page, which comes without a warning."""
    page, warnings = render(folders)
    assert warnings == []
    return page


def plain(page):
    """The text of a page without tags, blanks made one."""
    body = re.sub(r"(?s)<(style|svg).*?</\1>", "", page.partition("<body>")[2])
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", body))


def test_system_calls_have_a_table_by_name(tmp_path):
    counted = [golden.row(**{"allocator": name, "threads": 2, "pass": "syscalls", "ops": 1000,
                             "syscalls": n + 1, "sys_mmap": n, "sys_brk": 0})
               for name, n in (("arena", 3), ("glibc", 40))]
    text = plain(page_of(golden.write_run(tmp_path, rows() + counted)))
    start = text.index("2 threads: system calls for each thousand operations, by name")
    names = "all mmap munmap mremap madvise mprotect brk futex sched_yield"
    assert text[start:].partition("(fewer is better) ")[2].startswith(
        f"system call {names} arena 4.00 3.00 - - - - 0 - - glibc 41.0 40.0 - - - - 0 - - ")


def write_gate(folder, verdict="fail", **values):
    """A gate with one cell, 12 pairs, 10 % slower."""
    pairs = ["cell,block,order,baseline_ns_per_op,candidate_ns_per_op,log_ratio,baseline_run_delay,"
             "candidate_run_delay,is_used"]
    pairs += [f"\"larson, 1 thread\",{i},AB,10,11,{0.0953 + i / 1000},0,0,1" for i in range(12)]
    sides = [golden.audit(f"x.{side}", 1, golden.MIB * peak)[0] for side, peak in (("base", 2), ("cand", 3))]
    golden.write_run(folder, sides)
    (folder / "pairs.csv").write_text("\n".join(pairs) + "\n", encoding="utf-8")
    gate = {"argv": ["gate", "--baseline", "x=a b.so", "--candidate", "x=c.so"], "verdict": verdict,
            "baseline": "x.base", "candidate": "x.cand", "seed": 1, "delta": 0.02, "Delta": 0.05,
            "alpha": 0.05, "looks": [12, 24, 40], "max_run_delay": 0.02, "skipped": {"prodcons": "no"},
            "cells": [{"name": "larson, 1 thread", "verdict": verdict, "why": "slower by more than 2 %",
                       "ops": 5, "n_dropped": 1, "n": 12, "median": 0.1, "ci_lo": 0.09, "ci_hi": 0.11,
                       "hodges_lehmann": 0.1}]}
    (folder / "gate.json").write_text(json.dumps({**gate, **values}), encoding="utf-8")
    return folder


def test_the_verdict_comes_first_and_admits_what_it_cannot_tell(tmp_path):
    text = plain(page_of(golden.write_run(tmp_path, rows())))
    places = [text.index(words) for words in ("Cannot tell: n = 3", "few repetitions", "Processor")]
    assert places == sorted(places)
    assert "By medians alone, a hint: jemalloc leads in 2 of 2 cells." in text
    assert "Cannot tell: n = 1" in text          # memory
    assert "few repetitions At most n = 3 values a cell" in text
    assert "oversubscribed From 4 threads on" in text


def test_every_figure_of_the_run_is_in_it(tmp_path):
    page = page_of(golden.write_run(tmp_path, rows() + rows(workload="prodcons")))
    run = read_run(tmp_path)
    drawings = [d for d in figures(run, summarize(run)) if not d.is_overview]
    assert len(drawings) >= 4
    for drawing in drawings:
        assert f'aria-label="{drawing.title}. ' in page
    assert page.count("<figure") == page.count('role="img"') == len(drawings)
    assert "The heat maps follow another rule than the verdict" in page


def test_without_a_heat_map_the_page_speaks_of_none(tmp_path):
    page = page_of(golden.write_run(tmp_path, golden.timed("glibc", 1, [1e6] * 2)))
    assert "<figure" in page and "heat map" not in page


def test_nothing_is_fetched_and_nothing_runs(tmp_path):
    page = page_of(golden.write_run(tmp_path, rows()))
    assert "default-src 'none'" in page
    assert not re.search(r"https?:|//[a-z]|@import|<script|<iframe", page)
    assert re.findall("<link [^>]*>", page) == ['<link rel="icon" href="data:,">']
    assert set(re.findall(r'(?:href|src)="([a-z#]*)', page)) <= {"#", "#r", "data"} | set(
        re.findall(r'href="(#[a-z]*)', page))
    assert not [url for url in re.findall(r"url\(([^)]*)\)", page) if not url.startswith("#")]


def test_ids_are_unique_and_every_reference_has_its_target(tmp_path):
    page = page_of(*(golden.write_run(tmp_path / name, rows()) for name in ("a", "b")))
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids)) > 100
    used = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)|aria-labelledby="([^"]+)"', page))
    assert {name for names in used for name in names if name} <= set(ids)
    assert "2 runs, each for itself" in plain(page)
    assert plain(page).count("Cannot tell: n = 3") == 2


def test_the_data_are_inside(tmp_path):
    page = page_of(golden.write_run(tmp_path, rows() * 1))
    found = {name: data for name, data in re.findall(r'download="golden-([^"]+)" href="data:[^,]*,([^"]+)"',
                                                     page)}
    assert {"samples.csv", "summary.csv", "manifest.json", "plan.csv", "topology.xml"} <= {
        name.removesuffix(".gz") for name in found}
    for name, data in found.items():
        content = base64.b64decode(data)
        content = gzip.decompress(content) if name.endswith(".gz") else content
        if not name.startswith("summary"):
            assert content == (tmp_path / name.removesuffix(".gz")).read_bytes()


def test_the_same_run_gives_the_same_bytes(tmp_path):
    golden.write_run(tmp_path, rows())
    assert page_of(tmp_path) == page_of(tmp_path)


def test_markup_in_names_and_reasons_stays_text(tmp_path):
    bad = "<img src=x onerror=alert(1)>"
    found = rows() + golden.timed("glibc", 1, [1e6], config=f"A={bad}")
    found += golden.failed("scudo", 1, "crash", f"{bad} & more")
    (golden.write_run(tmp_path, found) / "manifest.json").write_text(
        json.dumps({"run_id": "golden", "environment": {"X": bad}, "argv": ["run-bench", "--x", bad]}),
        encoding="utf-8")
    page = page_of(tmp_path)
    assert "<img" not in page
    assert "&lt;img src=x" in page


def test_conditions_and_commands_are_those_of_the_manifest(tmp_path):
    golden.write_run(tmp_path, rows())
    manifest = json.loads((ROOT / "results/reference/manifest.json").read_text(encoding="utf-8"))
    manifest["machine"]["cpu"]["governor"] = "powersave"
    manifest["machine"]["memory"]["thp_enabled"] = "always"
    manifest["git"]["is_dirty"] = True
    manifest["argv"] = ["/x/build/run-bench", "--param", "larson.max_bytes=5 0", "--out", "results/x"]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    text = plain(page_of(tmp_path))
    assert "governor powersave: the clock rate follows the load" in text
    assert "transparent huge pages always: " in text
    assert "changed sources" in text
    assert "Processor AMD EPYC" in text and "Memory 23.5 GiB" in text and "Boost not known" in text
    assert "./run-bench --param &#39;larson.max_bytes=5 0&#39; --out results/x" in text
    assert f"git checkout {manifest['build']['revision']} make ./run-bench" in text


def test_contaminated_failed_and_missing_cells_are_named(tmp_path):
    found = rows() + golden.failed("scudo", 1, "crash", "signal 11", n=2)
    found += golden.failed("glibc", 8, "contaminated", "another load", n=3)
    text = plain(page_of(golden.write_run(tmp_path, found, n_planned=len(found) + 5)))
    assert "scudo crash 2x (larson at 1 threads): signal 11" in text
    assert "contaminated 3 processes waited for a processor" in text
    assert f"{len(found)} of {len(found) + 5} planned processes were measured" in text


@pytest.mark.parametrize("verdict, words", [
    ("pass", "x.cand is shown to be less than 5 % slower than x.base, in every cell."),
    ("fail", "x.cand is shown to be more than 2 % slower than x.base, in 1 of 1 cell."),
    ("inconclusive", "This gate cannot tell whether x.cand is slower than x.base: 1 of 1 cell stayed open."),
    ("error", "1 of 1 cell could not be measured.")])
def test_a_gate_shows_its_verdict_and_no_ranking(tmp_path, verdict, words):
    page = page_of(write_gate(tmp_path, verdict))
    text = plain(page)
    assert f"Verdict: {verdict.upper()} {words}" in text
    assert f"larson, 1 thread {verdict.upper()} +10.0 % +9.0 % to +11.0 % 12 1 2.00 to 3.00" in text
    assert "prodcons skipped" in text and "few repetitions" not in text
    assert "gate --baseline &#39;x=a b.so&#39; --candidate x=c.so" in text
    assert 'aria-label="Change of time' in page


def test_an_exact_gate_shows_its_counts(tmp_path):
    write_gate(tmp_path)
    (tmp_path / "gate.json").write_text(json.dumps({
        "verdict": "fail", "baseline": "x.base", "candidate": "x.cand", "skipped": {},
        "cells": [{"name": "larson, 1 thread: minor page faults", "verdict": "fail", "why": "7 -> 90"}]}),
        encoding="utf-8")
    text = plain(page_of(tmp_path))
    assert "x.cand needs more than it may: 1 of 1 count exceed" in text
    assert "larson, 1 thread: minor page faults FAIL 7 -&gt; 90" in text


def damage(name, content):
    def apply(folder):
        path = folder / name
        path.unlink() if content is None else path.write_text(content, encoding="utf-8")
    return apply


def tear(folder):
    """A line in the middle loses its end."""
    lines = (folder / "samples.csv").read_text(encoding="utf-8").splitlines()
    lines[3] = lines[3][:40]
    (folder / "samples.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.mark.parametrize("break_it, words", [
    (damage("manifest.json", None), "manifest.json: missing"),
    (damage("manifest.json", "{"), "manifest.json: cannot be read"),
    (damage("samples.csv", None), "samples.csv: No such file"),
    (damage("samples.csv", ""), "samples.csv: the file is empty"),
    (tear, "samples.csv:4: "),
    (damage("gate.json", "{}"), "gate.json: cannot be read as the verdict of a gate"),
    (damage("gate.json", "["), "gate.json: cannot be read as the verdict of a gate")])
def test_what_cannot_be_trusted_is_refused(tmp_path, break_it, words):
    folder = golden.write_run(tmp_path / "run", rows())
    break_it(folder)
    with pytest.raises(RunError, match=re.escape(words)):
        render([folder])


def test_a_half_written_last_line_is_a_warning_on_the_page(tmp_path):
    path = golden.write_run(tmp_path, rows()) / "samples.csv"
    path.write_bytes(path.read_bytes() + b"1,golden,c")
    page, warnings = render([tmp_path])
    assert [w.name for w in warnings] == ["torn-line"]
    assert "torn-line" in plain(page)


@pytest.mark.parametrize("args, words", [
    ("a b", "--out FILE.html is needed"), ("a a --out x", "given twice"), ("c", "no such folder"),
    ("a --out no/x.html", "no/x.html")])
def test_bad_usage_is_refused(tmp_path, monkeypatch, args, words):
    for name in "ab":
        golden.write_run(tmp_path / name, rows())
    monkeypatch.chdir(tmp_path)
    with pytest.raises((RunError, OSError), match=re.escape(words)):
        report.main(args.split())
    assert not list(tmp_path.glob("**/*.html"))


def test_only_a_report_is_overwritten_unless_forced(tmp_path, monkeypatch, capsys):
    golden.write_run(tmp_path / "a", rows())
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.md"
    page.write_text("<!DOCTYPE html>\nwritten by hand\n")
    with pytest.raises(RunError, match=r"page\.md: there is such a file.*--force"):
        report.main(["a", "--out", "page.md"])
    assert page.read_text() == "<!DOCTYPE html>\nwritten by hand\n"
    assert report.main(["a", "--out", "page.md", "--force"]) == 0
    written = page.read_text()
    page.write_text(written + "stale")
    assert report.main(["a", "--out", "page.md"]) == 0 and page.read_text() == written


def test_a_refusal_is_exit_code_2_and_one_line(tmp_path, script):
    (golden.write_run(tmp_path, rows()) / "manifest.json").unlink()
    done = script("report.py", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (f"report: {tmp_path}/manifest.json: missing; nothing is known of how and where "
                           "this was measured\n")
    assert not (tmp_path / "report.html").exists()


def test_colours_stand_out_on_a_dark_page():
    for colour in ("#000000", "#222222", "#0072b2", "#4b0092", "#543005", "#882255", "#117733", "#d55e00"):
        dark = inline_svg.in_dark(colour)
        rgb = tuple(int(dark[i:i + 2], 16) for i in (1, 3, 5))
        assert inline_svg.contrast(rgb, inline_svg.DARK_PAPER) >= inline_svg.MIN_CONTRAST, (colour, dark)
    assert inline_svg.in_dark("#ffffff") == "#16191d"
    assert round(inline_svg.contrast((0, 0, 0), (255, 255, 255)), 6) == 21


def test_a_figure_that_keeps_its_paper_keeps_its_colours():
    figure = Figure(figsize=(2, 1))
    figure.add_axes((0.2, 0.2, 0.7, 0.7)).plot([1, 2], [1, 2], color="#0072B2", marker="o")
    colours = set()
    kept = inline_svg.inline(figure, "a-", "x")
    assert "#0072b2" in kept and "var(" not in kept
    assert "var(--c-0072b2)" in inline_svg.inline(figure, "a-", "x", colours) and "#0072b2" in colours


def test_fonts_keep_weight_and_style_but_not_the_family():
    figure = Figure(figsize=(2, 1))
    figure.text(0, 0, "a", fontsize=13, weight="bold")
    figure.text(0, 0.5, "b", fontsize=8, style="italic")
    svg = inline_svg.inline(figure, "a-", "x")
    assert "font-weight: 700; font-size: 13px" in svg
    assert "font-style: italic; font-size: 8px" in svg and "DejaVu" not in svg


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The report of a small run that was really measured, beside that of a gate."""
    folder = tmp_path_factory.mktemp("measured")
    make = subprocess.run(["make", "-s", "-C", ROOT, "-j2", "all"], capture_output=True, text=True)
    assert make.returncode == 0, make.stderr
    bench = subprocess.run([ROOT / "run-bench", "--threads", "1,4", "--allocators", "arena,glibc,null",
                            "--workloads", "malloc-test,prodcons", "--duration", "0.02", "--reps", "2",
                            "--out", folder / "run"], capture_output=True, text=True)
    assert bench.returncode == 0, bench.stderr
    write_gate(folder / "gate")
    done = subprocess.run([ROOT / "run-bench", "report", folder / "run", folder / "gate", "--out",
                           folder / "page.html"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "page.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


OVERFLOWING = """
[...document.querySelectorAll('body *')].filter(e => {
  const box = e.getBoundingClientRect();
  const is_free = !e.closest('svg') && !e.parentElement.closest('.scroll');
  return is_free && box.width > 0 && box.right > innerWidth + 0.5;
}).map(e => e.outerHTML.slice(0, 80))
"""
CUT_OFF = """
[...document.querySelectorAll('figure svg text')].filter(t => {
  const a = t.getBoundingClientRect(), b = t.ownerSVGElement.getBoundingClientRect();
  return a.left < b.left - 1 || a.right > b.right + 1 || a.top < b.top - 1 || a.bottom > b.bottom + 1;
}).map(t => t.textContent)
"""
UNREADABLE = """
(() => {
  const luminance = text => {
    const rgb = text.match(/[\\d.]+/g).slice(0, 3).map(c => c / 255).map(
      c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2];
  };
  const ground = luminance(getComputedStyle(document.body).backgroundColor);
  const found = [];
  for (const e of document.querySelectorAll('h1, h2, h3, h4, p, dt, dd, th, td, a, li, span, svg text')) {
    const style = getComputedStyle(e), ink = luminance(e.ownerSVGElement ? style.fill : style.color);
    const paper = e.closest('.paper') ? 1 : ground;
    const contrast = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    if (contrast < 4.5) found.push(e.textContent.slice(0, 40) + ' ' + contrast);
    if (e.ownerSVGElement && e.getBoundingClientRect().height < 8.5)
      found.push(e.textContent + ' is ' + e.getBoundingClientRect().height + ' px high');
  }
  return found;
})()
"""


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_in_chromium_all_of_it_can_be_read(page, browser, width, is_dark):
    browser.events.clear()
    browser.resize(width, is_dark=is_dark)
    browser.open(page.as_uri())
    assert browser.evaluate("innerWidth") == width
    assert browser.evaluate("document.querySelectorAll('figure svg').length") >= 5
    assert browser.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") is is_dark
    ground = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(22, 25, 29)" if is_dark else "rgb(255, 255, 255)")
    assert browser.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
    assert browser.evaluate(OVERFLOWING) == []
    assert browser.evaluate(CUT_OFF) == []
    assert browser.evaluate(UNREADABLE) == []
    requests = [r["request"]["url"] for r in browser.of("Network.requestWillBeSent")]
    assert [url for url in requests if not url.startswith("data:")] == [page.as_uri()]
    assert browser.of("Log.entryAdded") + browser.of("Runtime.exceptionThrown") == []
    assert browser.of("Runtime.consoleAPICalled") == []


def test_on_paper_it_is_black_on_white_and_complete(page, browser):
    browser.resize(1280, is_dark=True, media="print")
    browser.open(page.as_uri())
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
    pdf = base64.b64decode(browser.call("Page.printToPDF")["data"])
    assert pdf.startswith(b"%PDF") and len(pdf) > 20000
