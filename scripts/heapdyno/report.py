"""The report: one HTML file that holds everything about one or more runs and fetches nothing.

Collects for the template what other modules say; computes no statistics of its own. Runs stand beside each
other and are never pooled.
"""
import base64
import gzip
import io
import shlex
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup

from heapdyno import doctor, inline_svg, standing, style, table
from heapdyno.compare import PLACES, fact
from heapdyno.figures import figures
from heapdyno.report_gate import gate_view, read_gate
from heapdyno.run import RunError, read_run
from heapdyno.summary import summarize, write_summary
from heapdyno.syscalls import CALLS, call_rows

DATA = ("samples.csv", "pairs.csv", "rss.csv", "latency.csv", "gate.json", "gate.xml", "gate.md",
        "plan.csv", "manifest.json", "topology.xml")
"""Files of a run that the report hands on, where they are there."""

HALF_PAGE_IN = 7.5
"""Figures up to this width stand two in a row."""

ZIPPED_FROM_BYTES = 64 << 10
LEGEND_WIDTH = 10000
"""Of legend lines, which the page breaks itself."""

FACTS = (
    ("Processor", "machine.cpu.model"), ("CPUs online", "machine.cpu.online"),
    ("CPUs allowed", "machine.affinity"), ("Microcode", "machine.cpu.microcode"),
    ("Hypervisor", "machine.cpu.hypervisor"), ("Memory", "machine.memory.total_bytes"),
    ("Kernel", "machine.kernel.release"), ("libc", "machine.libc"), ("Governor", "machine.cpu.governor"),
    ("Boost", "machine.cpu.boost"), ("SMT", "machine.cpu.smt"),
    ("Transparent huge pages", "machine.memory.thp_enabled"), ("ASLR", "machine.aslr"),
    ("Overcommit", "machine.memory.overcommit"), ("Swap", "machine.memory.swap_total_bytes"),
    ("NUMA balancing", "machine.memory.numa_balancing"), ("Clock source", "machine.clock_source"),
    ("cgroup CPU limit", "machine.cgroup.cpu.max"), ("cgroup memory limit", "machine.cgroup.memory.max"),
    ("Load before", "activity_before.load_average"), ("Load after", "activity_after.load_average"),
    ("Started", "started"), ("Ended", "ended"), ("Seed", "seed"), ("heapdyno", "build.version"),
    ("Variant", "build.variant"), ("Compiler", "build.compiler"), ("Flags", "build.flags"),
    ("Source revision", "build.revision"))


@dataclass(frozen=True)
class Warn:
    """Something a reader must know. `name` is short, `text` says what it means for the results."""
    name: str
    text: str
    command: str = ""   # that would mend it


def render(folders):
    """The page as text, and the RunWarnings of all runs. RunError when a folder is no run to be trusted."""
    colours = set()
    runs, warnings = [], []
    for i, folder in enumerate(folders):
        run = read_run(folder, need_manifest=True)
        runs.append(_view(run, f"r{i + 1}", colours))
        warnings += run.warnings
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True,
        lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    css = (Path(__file__).parent / "report.css").read_text(encoding="utf-8")
    light, dark = inline_svg.variables(colours)
    return environment.get_template("report.html.j2").render(
        runs=runs, css=Markup(css), light=Markup(light), dark=Markup(dark)), warnings


def _view(run, prefix, colours):
    """What the template wants of one run."""
    summary = summarize(run)
    gate = read_gate(run.folder)
    view = {"id": prefix, "run_id": run.run_id, "host": run.host,
            "machine": run.topology.describe() if run.topology else "",
            "date": str(run.manifest.get("started") or "")[:10],
            "warnings": _warnings(run, summary, gate), "facts": _facts(run.manifest),
            "allocators": run.manifest.get("allocators") or [], "commands": _commands(run, gate),
            "environment": run.manifest.get("environment") or {},
            "downloads": _downloads(run, summary), "gate": None, "aspects": [], "parts": [], "figures": [],
            "has_ratios": False, "records": [], "legend": [], "failures": [], "symbols": ""}
    if gate is not None:
        view["gate"] = gate_view(run, gate, prefix, colours)
        return view
    drawings = [_figure(d, f"{prefix}-f{i}-", colours) for i, d in enumerate(figures(run, summary))
                if not d.is_overview]
    view["has_ratios"] = any(d["name"].startswith("ratios-") for d in drawings)
    view.update(_verdict(summary, prefix, colours))
    view["figures"] = [d for d in drawings if d["comparison"] is None]
    view["parts"] = [_part(summary, c, f"{prefix}-p{i}", view["markers"], drawings)
                     for i, c in enumerate(summary["comparison"].unique())]
    view["failures"] = table.format_failures(run.samples, LEGEND_WIDTH)[1:]
    view["legend"] = table.format_legend(run, summary, LEGEND_WIDTH)
    return view


def _verdict(summary, prefix, colours):
    """The headlines, and a row an allocator with what is said of it."""
    judged = [standing.judge(summary, aspect) for aspect in standing.ASPECTS]
    looks = style.looks(summary["label"])
    drawn = {label: inline_svg.marker(look, f"{prefix}-m{i}", colours)
             for i, (label, look) in enumerate(looks.items())}
    markers = {label: Markup(use) for label, (_, use) in drawn.items()}
    records = [{"label": of_label[0].label, "name": of_label[0].name, "marker": markers[of_label[0].label],
                "aspects": [_record(r, j.aspect) for r, j in zip(of_label, judged)]}
               for of_label in zip(*(j.records for j in judged))]
    return {"aspects": [{"title": j.aspect.title, "text": standing.headline(j)} for j in judged],
            "names": style.explain_names(style.short_names(looks)),
            "records": records, "markers": markers,
            "symbols": Markup("".join(symbol for symbol, _ in drawn.values())),
            "has_bars": any(a["is_shown"] for record in records for a in record["aspects"]),
            "n_cells": max(j.n_cells for j in judged)}


def _record(record, aspect):
    bars = [(s.value, record.counts[s]) for s in standing.Standing if record.counts[s]]
    return {"title": aspect.title, "text": standing.in_words(record, aspect), "bars": bars,
            "is_shown": any(kind in ("best", "open", "behind", "failed") for kind, _ in bars),
            "ratio": standing.ratio_range(record), "n_best_median": record.n_best_median}


def _figure(drawing, prefix, colours):
    figure = (drawing.draw_narrow or drawing.draw)()
    is_wide = figure.get_figwidth() > HALF_PAGE_IN
    svg = inline_svg.inline(figure, prefix, f"{drawing.title}. {drawing.text}",
                            None if drawing.keeps_paper else colours)
    title = drawing.title.removeprefix(f"{drawing.comparison}: ")
    return {"name": drawing.name, "title": title, "comparison": drawing.comparison, "svg": Markup(svg),
            "is_wide": is_wide,
            "is_titled": drawing.draw_narrow is None, "keeps_paper": drawing.keeps_paper}


def _part(summary, comparison, part_id, markers, drawings):
    """One comparison: its conditions, figures and tables."""
    cells = summary[summary["comparison"] == comparison]
    first = cells.iloc[0]
    conditions = [first[c].replace(";", " ") for c in ("params", "load", "placement", "membind", "wrap",
                                                       "ambient") if first[c]]
    return {"id": part_id, "name": comparison, "conditions": conditions,
            "figures": [d for d in drawings if d["comparison"] == comparison],
            "tables": [_table(cells[cells["metric"] == metric], metric, f"{part_id}-{metric}", markers)
                       for metric in table.TABLES if (cells["metric"] == metric).any()]
            + _tables_of_calls(cells, part_id, markers)}


def _table(cells, metric, table_id, markers):
    title, scale = table.title_of(cells, metric)
    labels = list(style.looks(cells["label"]))
    rows = {(r["label"], r["threads"]): r for r in cells.to_dict("records")}
    columns = []
    for threads in sorted(cells["threads"].unique()):
        present = [rows[label, threads] for label in labels if (label, threads) in rows]
        best = table.best_of(present, metric)
        columns.append({"threads": f"{threads:.0f}",
                        "is_over": any(r["oversubscribed"] == 1 for r in present),
                        "cells": [_cell(rows.get((label, threads)), best, scale, present)
                                  for label in labels]})
    names = style.short_names(labels)
    n = cells.loc[cells["n"] > 0, "n"]
    return {"id": table_id, "title": title, "head": "threads", "columns": columns,
            "has_noise": any(cell["noise"] for c in columns for cell in c["cells"]),
            "rows": [(names[label], label, markers[label], i) for i, label in enumerate(labels)],
            "n": "" if n.empty else f"n = {n.min()}" + ("" if n.min() == n.max() else f" to {n.max()}")}


def _tables_of_calls(cells, part_id, markers):
    """System calls by name: a table a thread count."""
    rows = call_rows(cells)
    found = []
    for threads in dict.fromkeys(threads for _, threads, _, _ in rows):
        of_table = [row for row in rows if row[1] == threads]
        names = style.short_names([label for label, _, _, _ in of_table])
        columns = [{"threads": name, "is_over": any(is_over for _, _, is_over, _ in of_table),
                    "cells": [_plain_cell(values[i]) for _, _, _, values in of_table]}
                   for i, name in enumerate(CALLS.values())]
        count = f"{threads:.0f} thread{'' if threads == 1 else 's'}"
        found.append({"id": f"{part_id}-calls-{threads:.0f}", "title": f"{count}: {table.CALLS_TITLE}",
                      "n": "", "head": "system call", "columns": columns, "has_noise": False,
                      "rows": [(names[label], label, markers[label], i)
                               for i, (label, _, _, _) in enumerate(of_table)]})
    return found


def _plain_cell(value):
    is_known = value == value
    return {"text": table.three_digits(value) if is_known else "-", "mark": "", "noise": "",
            "kind": "" if is_known else "none"}


def _cell(row, best, scale, cells):
    """The cell of table.cell_text in its parts: value, mark, noise."""
    if row is None or row["n"] == 0:
        text = "-" if row is None else table.status_text(row)
        return {"text": text, "mark": "", "noise": "", "kind": "none"}
    number, mark, noise, flags = table.cell_parts(row, best, scale, cells)
    kinds = {"*": "best" if standing.has_interval(row) else "first", "~": "open"}
    return {"text": number, "mark": (mark + flags).strip(),
            "noise": noise.replace("%", " %").replace(",", ", "), "kind": kinds.get(mark, "")}


def _warnings(run, summary, gate):
    """Warns, what weighs most first."""
    found = []
    over = summary[summary["oversubscribed"] == 1]["threads"]
    n_most = summary["n"].max()
    if gate is None and 0 < n_most < 6:
        found.append(Warn("few repetitions", f"At most n = {n_most} values a cell: there are no 95 % "
                          "intervals, and every difference is a hint. From six repetitions on there are.",
                          "--reps 6"))
    n_rows = len(run.samples.drop_duplicates(["cell_id", "repetition"]))
    if gate is None and run.n_planned is not None and n_rows < run.n_planned:
        found.append(Warn("incomplete", f"{n_rows} of {run.n_planned} planned processes were measured."))
    if len(over):
        pus = f" ({run.topology.n_pus})" if run.topology else ""
        found.append(Warn("oversubscribed", f"From {over.min():.0f} threads on there are more threads than "
                          f"processing units{pus}. Those cells are shown shaded and take no part in the "
                          "verdict: they tell of scheduling as much as of the allocator."))
    contaminated = int((run.samples["status"] == "contaminated").sum())
    if contaminated:
        found.append(Warn("contaminated", f"{contaminated} processes waited for a processor; they are in no "
                          "number."))
    found += _warnings_of_manifest(run.manifest)
    found += [Warn(w.name, f"{w.text}.") for w in run.warnings]
    return found + ([] if gate is not None and gate.is_exact else _warnings_of_machine(run.manifest))


def _warnings_of_machine(manifest):
    """What the doctor says of it. Counts need no quiet machine."""
    findings = doctor.examine_recorded(manifest)
    found = [Warn(f.name, f"{f.value}: {f.effect}.", f.command) for f in findings
             if f.state == doctor.UNFIT]
    unknown = [f.name for f in findings if f.state == doctor.UNKNOWN]
    if unknown:
        found.append(Warn("not shown", f"What this machine did not show may be unfit too: "
                          f"{', '.join(unknown)}."))
    return found


def _warnings_of_manifest(manifest):
    found = []
    variant = fact(manifest, "build.variant")
    if variant not in (None, "release"):
        found.append(Warn("variant", f"The {variant} build was measured, not release."))
    if fact(manifest, "git.is_dirty"):
        found.append(Warn("changed sources", "The source tree had changes that no revision holds."))
    if manifest.get("was_stopped"):
        found.append(Warn("stopped", "The run was interrupted."))
    if manifest.get("resumed"):
        n = len(manifest["resumed"])
        found.append(Warn("resumed", f"The run was resumed {n} time{'' if n == 1 else 's'}: its parts were "
                          "measured at different times."))
    reached = {k: v for k, v in (manifest.get("environment") or {}).items() if k not in PLACES}
    if reached:
        found.append(Warn("environment", "Variables from outside reached the allocators: "
                          + ", ".join(f"{k}={v}" for k, v in reached.items()) + "."))
    return found


def _facts(manifest):
    """(name, value) pairs; what is not known says so."""
    return [(name, _words(path, _value(manifest, path))) for name, path in FACTS]


def _value(manifest, path):
    head, _, name = path.partition("cgroup.")
    if name:  # names of files, with a dot in them
        return (fact(manifest, head + "cgroup") or {}).get(name)
    return fact(manifest, path)


def _words(path, value):
    if value is None:
        return "not known"
    if path.endswith("_bytes"):
        return f"{value / 2 ** 30:.1f} GiB" if value else "none"
    if isinstance(value, list):
        return ", ".join(f"{v:.2f}" for v in value)
    return str(value)


def _commands(run, gate):
    """Shell lines that make the run again, as far as it is known how it was made."""
    manifest = run.manifest
    revision = (fact(manifest, "build.revision") or "").removesuffix("-dirty")
    variant = fact(manifest, "build.variant") or "release"
    lines = [f"git checkout {revision}"] if revision else []
    lines.append("make" if variant == "release" else f"make VARIANT={variant}")
    prefix = "" if variant == "release" else f"HEAPDYNO_BUILD=build/{variant} "
    argv = (manifest.get("argv") or [])[1:] if gate is None else gate.verdict.get("argv")
    if argv:
        lines.append(f"{prefix}./run-bench {shlex.join(argv)}")
    out = argv[argv.index("--out") + 1:][:1] if argv and "--out" in argv else ["results/RUN"]
    lines.append(f"./run-bench report {shlex.join(out)}")
    return lines


def _downloads(run, summary):
    """Data URIs of the summary and of the files of the run; the large ones gzipped."""
    file = io.StringIO()
    write_summary(summary, file)
    contents = {"summary.csv": file.getvalue().encode()}
    for name in DATA:
        path = run.folder / name
        try:
            contents[name] = path.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise RunError(f"{path}: {error.strerror}") from error
    found = []
    for name, data in contents.items():
        kind = "application/octet-stream"
        if len(data) > ZIPPED_FROM_BYTES:
            data, name, kind = gzip.compress(data, mtime=0), f"{name}.gz", "application/gzip"
        uri = f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
        found.append({"name": name, "uri": Markup(uri), "size": _size(len(data))})
    return found


def _size(n_bytes):
    return f"{n_bytes / 1024:.0f} KiB" if n_bytes < 1 << 20 else f"{n_bytes / 2 ** 20:.1f} MiB"
