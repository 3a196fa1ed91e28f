"""What a gate says: pairs.csv, JUnit XML, Markdown, and the forest plot. Decides nothing."""
import csv
import xml.etree.ElementTree as ElementTree

from heapdyno.judge import Verdict, effect, log_ratio, overall

SIGN = {Verdict.PASS: "PASS", Verdict.FAIL: "FAIL", Verdict.INCONCLUSIVE: "INCONCLUSIVE",
        Verdict.ERROR: "ERROR", Verdict.OPEN: "INCONCLUSIVE"}
COLOURS = {Verdict.PASS: "#0072B2", Verdict.FAIL: "#D55E00", Verdict.INCONCLUSIVE: "#666666"}
MARKERS = {Verdict.PASS: "o", Verdict.FAIL: "D", Verdict.INCONCLUSIVE: "s"}


def percent(value):
    """+3.4 %; "-" for None."""
    return "-" if value is None else f"{100 * value:+.1f} %"


def describe(cell):
    """One line a person can read about a cell."""
    e = effect(cell.ratios)
    text = f"{SIGN[cell.verdict]}: {cell.why}" if cell.why else SIGN[cell.verdict]
    if e.n:
        text += f"; median {percent(e.median)}"
        if e.ci_lo is not None:
            text += f", 95 % interval {percent(e.ci_lo)} to {percent(e.ci_hi)}"
        text += f", {e.n} pairs"
    return text + (f", {cell.n_dropped} dropped" if cell.n_dropped else "")


def write_pairs(pairs, path):
    """pairs.csv: one row a pair, in the order of measuring."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("cell", "block", "order", "baseline_ns_per_op", "candidate_ns_per_op", "log_ratio",
                         "baseline_run_delay", "candidate_run_delay", "is_used"))
        for p in pairs:
            writer.writerow((p.cell, p.block, p.order, f"{p.baseline.cost:.6g}", f"{p.candidate.cost:.6g}",
                             f"{log_ratio(p.baseline, p.candidate):.6g}", f"{p.baseline.delay_share():.4f}",
                             f"{p.candidate.delay_share():.4f}", int(p.is_used)))


def junit(cells, skipped, title):
    """A test case a cell: failure = regression, error = it did not run, skipped = not told, or not run by
    either side."""
    counts = {v: sum(c.verdict is v for c in cells) for v in Verdict}
    suite = ElementTree.Element("testsuite", {
        "name": title, "tests": str(len(cells) + len(skipped)), "failures": str(counts[Verdict.FAIL]),
        "errors": str(counts[Verdict.ERROR]),
        "skipped": str(counts[Verdict.INCONCLUSIVE] + counts[Verdict.OPEN] + len(skipped))})
    element = {Verdict.FAIL: "failure", Verdict.ERROR: "error", Verdict.INCONCLUSIVE: "skipped",
               Verdict.OPEN: "skipped"}
    for cell in cells:
        case = ElementTree.SubElement(suite, "testcase", {"classname": "heapdyno.gate", "name": cell.name})
        if cell.verdict in element:
            ElementTree.SubElement(case, element[cell.verdict], {"message": describe(cell)})
        ElementTree.SubElement(case, "system-out").text = describe(cell)
    for name, why in skipped.items():
        case = ElementTree.SubElement(suite, "testcase", {"classname": "heapdyno.gate", "name": name})
        ElementTree.SubElement(case, "skipped", {"message": f"neither side runs it: {why}"})
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True).decode() + "\n"


def markdown(cells, skipped, rule, baseline, candidate):
    """The summary for a pull request: the verdict, then a row a cell, the worst first."""
    order = (Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE, Verdict.OPEN, Verdict.PASS)
    rows = sorted(cells, key=lambda c: (order.index(c.verdict), -(effect(c.ratios).median or 0)))
    lines = [f"## {SIGN[overall(cells)]}: {candidate} against {baseline}", "",
             f"Time per operation of {candidate}, relative to {baseline}: positive is slower. FAIL: shown to "
             f"be slower by more than {100 * rule.delta:g} %; PASS: shown to be less than "
             f"{100 * rule.big_delta:g} % slower; alpha = {rule.alpha:g} over all cells and looks "
             f"({', '.join(map(str, rule.looks))} pairs).", "",
             "| cell | verdict | median | 95 % interval | Hodges-Lehmann | pairs | dropped | why |",
             "|---|---|---:|---:|---:|---:|---:|---|"]
    for cell in rows:
        e = effect(cell.ratios)
        interval = "-" if e.ci_lo is None else f"{percent(e.ci_lo)} to {percent(e.ci_hi)}"
        why = cell.why.replace("|", "\\|")
        lines.append(f"| {cell.name} | {SIGN[cell.verdict]} | {percent(e.median)} | {interval} "
                     f"| {percent(e.hodges_lehmann)} | {e.n} | {cell.n_dropped} | {why} |")
    lines += [f"| {name} | skipped | - | - | - | 0 | 0 | {why} |" for name, why in skipped.items()]
    return "\n".join(lines) + "\n"


def table(cells, skipped):
    """The same for a terminal."""
    width = max(map(len, [c.name for c in cells] + list(skipped)), default=0)
    return "\n".join([f"{cell.name.ljust(width)}  {describe(cell)}" for cell in cells]
                     + [f"{name.ljust(width)}  skipped: {why}" for name, why in skipped.items()])


def forest(cells, rule, baseline, candidate):
    """A matplotlib Figure: each cell's median with its interval, delta and Delta as lines; None when no cell
    has a pair."""
    from heapdyno.draw import FAINT, INK, SHADE, Figure
    shown = [(cell, effect(cell.ratios)) for cell in cells if cell.ratios]
    if not shown:
        return None
    height = 1.5 + 0.34 * len(shown)
    figure = Figure(figsize=(9.6, height))
    axes = figure.add_axes((0.36, 0.62 / height, 0.44, 1 - 1.4 / height))
    axes.axvspan(100 * rule.delta, 100 * rule.big_delta, color=SHADE, linewidth=0, zorder=0)
    axes.axvline(0, color=INK, linewidth=0.8, zorder=1)
    for y, (cell, e) in enumerate(shown):
        colour = COLOURS.get(cell.verdict, FAINT)
        if e.ci_lo is not None:
            axes.plot([100 * e.ci_lo, 100 * e.ci_hi], [y, y], color=colour, linewidth=1.6, zorder=3)
        axes.plot([100 * e.median], [y], color=colour, marker=MARKERS.get(cell.verdict, "x"), zorder=4)
        axes.text(1.02, y, f"{SIGN[cell.verdict]}  {percent(e.median)}  n={e.n}", va="center", fontsize=8.5,
                  transform=axes.get_yaxis_transform(), color=INK)
    axes.set_yticks(range(len(shown)), [cell.name for cell, _ in shown], fontsize=8.5)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlabel(f"change of time per operation, % (right: slower); shaded: {100 * rule.delta:g} to "
                    f"{100 * rule.big_delta:g} %", fontsize=8.5)
    texts = ((0.32, f"{candidate} against {baseline}", 13, "bold", INK),
             (0.56, "median of the pairs with its 95 % interval", 8.5, "normal", FAINT))
    for y, text, size, weight, colour in texts:
        figure.text(0.02, 1 - y / height, text, fontsize=size, weight=weight, color=colour)
    return figure
