"""What a comparison says on paper: Markdown, LaTeX with booktabs, and ratios.csv. Decides nothing."""
import csv
import math
from dataclasses import dataclass

from heapdyno import columns
from heapdyno.gate import cell_name
from heapdyno.paper import METRICS, MIN_BLOCKS
from heapdyno.paper_plan import MIN_REPS
from heapdyno.table import three_digits

TITLES = {"throughput": ("Throughput", "more is better", "M op/s", 1e6),
          "rss": ("Peak RSS after a fixed number of operations", "less is better", "MiB", 2 ** 20)}


@dataclass(frozen=True)
class Paper:
    """All that is said. `failures`: in words, cells and rows without a value; `notes`: what a reader has to
    know of this run; `given`: which of "window" and "number" the user chose in place of the pilot."""
    run_id: str
    machine: str
    baseline: str
    correction: str
    groups: list       # of paper_plan, with what the pilot found
    ratios: list
    explored: list
    claims: list
    means: list
    failures: list
    notes: list
    given: tuple = ()

    def metric(self, name):
        return [r for r in self.ratios if r.metric == name]

    def labels(self, name):
        return sorted({r.label for r in self.metric(name)})

    def is_marked(self, ratio):
        return any(t.ratio is ratio and t.is_shown for t in self.explored)


def number(value, digits=3):
    return "-" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def p_text(p):
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"


def place(ratio):
    """The name of a row; + marks more threads than processing units."""
    return cell_name(ratio.comparison, ratio.threads) + (" +" if ratio.is_oversubscribed else "")


def interval(x):
    return "no interval" if x.low is None else f"{number(x.low)} to {number(x.high)}"


def rows_of(paper, metric):
    """[(place, baseline's median as text, {label: Ratio}), ...] of a metric."""
    rows = {}
    for r in paper.metric(metric):
        rows.setdefault((r.comparison, r.threads), []).append(r)
    scale = TITLES[metric][3]
    return [(place(of[0]), three_digits(of[0].base_median / scale), {r.label: r for r in of})
            for of in rows.values()]


def method(paper):
    """How it was made, in sentences for a paper's text."""
    ns = sorted({g.n for g in paper.groups if g.n})
    n_text = f"n = {ns[0]}" if len(ns) == 1 else f"n = {ns[0]} to {ns[-1]}" if ns else "n = 0"
    chosen = " and ".join(f"the {what}" for what in ("window", "number") if what not in paper.given)
    given = " and ".join(f"the {what}" for what in paper.given)
    how = "; ".join(([f"a pilot chose {chosen} (Kalibera and Jones 2013)"] if chosen else [])
                    + ([f"{given} {'was' if chosen else 'were'} given"] if given else []))
    blocks = {"bh": "Benjamini-Hochberg (false discovery rate 5 %)", "holm": "Holm (any false one: 5 %)"}
    return [
        f"Each cell was run in {n_text} fresh processes, in randomised complete blocks whose order is "
        f"a Latin square; {how}. Ratios are of medians, "
        "with 95 % BCa bootstrap intervals that resample whole blocks. No value was left out as an outlier.",
        "Claims named before measuring were tested by exact one-sided sign tests over the blocks, with "
        "Holm's correction over all of them; every other difference is exploration, two-sided, corrected by "
        f"{blocks[paper.correction]}: a * marks those that remain."]


def markdown(paper):
    lines = [f"# {paper.run_id}", "", paper.machine, "", *_spaced(method(paper))]
    lines += [f"- {note}" for note in paper.notes] + [""] * bool(paper.notes)
    lines += _claims_markdown(paper)
    for metric in METRICS:
        lines += _metric_markdown(paper, metric)
    if paper.failures:
        lines += ["## Without a value", "", *(f"- {f}" for f in paper.failures), ""]
    return "\n".join(lines + _plan_markdown(paper)) + "\n"


def _spaced(paragraphs):
    return [line for p in paragraphs for line in (p, "")]


def _claims_markdown(paper):
    if not paper.claims:
        return ["## Claims", "", "None was named before measuring: everything below is exploration.", ""]
    lines = ["## Claims named before measuring", "",
             "| claim | cell | ratio | 95 % interval | n | p | p (Holm) | |",
             "|---|---|---:|---:|---:|---:|---:|---|"]
    for t in paper.claims:
        lines.append(f"| `{t.claim.text}` | {place(t.ratio)} | {number(t.ratio.value)} | {interval(t.ratio)} "
                     f"| {t.ratio.n} | {p_text(t.p)} | {p_text(t.p_adjusted)} | "
                     f"{'shown' if t.is_shown else 'not shown'} |")
    return lines + [""]


def _metric_markdown(paper, metric):
    title, better, unit, _ = TITLES[metric]
    labels = paper.labels(metric)
    if not labels:
        return []
    lines = [f"## {title}, relative to {paper.baseline} ({better})", "",
             "| cell | " + " | ".join([f"{paper.baseline}, {unit}", *labels]) + " |",
             "|---|" + "---:|" * (len(labels) + 1)]
    for name, base, ratios in rows_of(paper, metric):
        cells = [_cell(paper, ratios.get(label)) for label in labels]
        lines.append(f"| {name} | {base} | " + " | ".join(cells) + " |")
    means = {m.label: m for m in paper.means if m.metric == metric}
    if means:
        cells = [number(means[k].value) + _text_bounds(means[k]) if k in means else "-" for k in labels]
        n = next(iter(means.values())).n
        lines.append(f"| geometric mean of {n} cells | | " + " | ".join(cells) + " |")
    return lines + [""]


def _cell(paper, ratio):
    if ratio is None:
        return "-"
    return number(ratio.value) + "*" * paper.is_marked(ratio) + _text_bounds(ratio)


def _text_bounds(x):
    return "" if x.low is None else f" [{number(x.low)}, {number(x.high)}]"


def _plan_markdown(paper):
    lines = ["## What the pilot planned", "",
             "Standard deviation of the ratio to the baseline: inside a process (in a window of half the "
             "length the pilot started from), from process to process, and of the noisiest pair at the "
             "planned window; the half-width is what its interval was expected to have.", "",
             "| cell | n | window | inside | between | noisiest | expected half-width |",
             "|---|---:|---:|---:|---:|---:|---:|"]
    for g in paper.groups:
        if g.n:
            values = [f"{100 * v:.2f} %" for v in (g.sd_inside, g.sd_between, g.sd_worst, g.half_width(g.n))]
            planned = values if not math.isnan(g.sd_worst) else ["not asked"] * 4
            lines.append(f"| {cell_name(g.name, g.threads)} | {g.n} | {g.window_ns / 1e9:.2f} s | "
                         + " | ".join(planned) + " |")
    return lines + [""]


SPECIAL = {"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{",
           "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
           ">": r"\textgreater{}", "|": r"\textbar{}"}


def tex(text):
    """The text as LaTeX shows it literally."""
    return "".join(SPECIAL.get(c, c) for c in str(text))


def latex(paper):
    """Tables for a paper: claims, then a table a metric."""
    parts = [f"% run {paper.run_id}; needs \\usepackage{{booktabs}}"]
    if paper.claims:
        parts.append(_claims_latex(paper))
    parts += [_metric_latex(paper, metric) for metric in METRICS if paper.labels(metric)]
    return "\n\n".join(parts) + "\n"


def _float(label, caption, columns_spec, lines):
    return "\n".join([r"\begin{table}", r"\centering\small", rf"\caption{{{caption}}}\label{{tab:{label}}}",
                      rf"\begin{{tabular}}{{{columns_spec}}}", r"\toprule", *lines, r"\bottomrule",
                      r"\end{tabular}", r"\end{table}"])


def _row(*cells):
    return " & ".join(cells) + r" \\"


def _bounds(x):
    return "" if x.low is None else rf"{{\scriptsize [{number(x.low)}, {number(x.high)}]}}"


def _reps_text(paper):
    ns = sorted({r.n for r in paper.ratios})
    return "0" if not ns else str(ns[0]) if len(ns) == 1 else f"{ns[0]} to {ns[-1]}"


def _claims_latex(paper):
    lines = [_row("claim", "cell", "ratio", "95\\,\\% interval", "$n$", "$p$ (Holm)", ""), r"\midrule"]
    for t in paper.claims:
        p = r"$<$\,0.0001" if t.p_adjusted < 0.0001 else f"{t.p_adjusted:.4f}"
        claim = f"{t.claim.left} {t.claim.sign} {t.claim.right}, {t.claim.metric}"
        lines.append(_row(tex(claim), tex(place(t.ratio)), number(t.ratio.value), interval(t.ratio),
                          str(t.ratio.n), p, "shown" if t.is_shown else "not shown"))
    return _float("claims", "Claims named before measuring: exact one-sided sign tests over blocks, Holm's "
                  "correction.", "llrrrrl", lines)


def _metric_latex(paper, metric):
    title, better, unit, _ = TITLES[metric]
    labels = paper.labels(metric)
    lines = [_row("", tex(f"{paper.baseline} ({unit})"), *map(tex, labels)), r"\midrule"]
    for name, base, ratios in rows_of(paper, metric):
        found = [ratios.get(label) for label in labels]
        lines.append(_row(tex(name), base,
                          *("--" if r is None else number(r.value) + "$^{*}$" * paper.is_marked(r)
                            for r in found)))
        lines.append(_row("", "", *("" if r is None else _bounds(r) for r in found)))
    means = {m.label: m for m in paper.means if m.metric == metric}
    if means:
        found = [means.get(label) for label in labels]
        n = next(iter(means.values())).n
        lines += [r"\midrule",
                  _row(f"geometric mean of {n}", "",
                       *("--" if m is None else number(m.value) for m in found)),
                  _row("", "", *("" if m is None else _bounds(m) for m in found))]
    marked = {"bh": "Benjamini--Hochberg, 5\\,\\%", "holm": "Holm, 5\\,\\%"}[paper.correction]
    caption = (f"{title} relative to {tex(paper.baseline)} ({better}): ratios of medians with 95\\,\\% "
               f"BCa intervals over blocks, $n$ = {_reps_text(paper)} processes. $*$: differs ({marked}). "
               "+: more threads than processing units.")
    return _float(metric, caption, "lr" + "r" * len(labels), lines)


def write_ratios(paper, path):
    """ratios.csv: a row a metric, cell and label; the p-value is two-sided and not adjusted."""
    adjusted = {id(t.ratio): t.p_adjusted for t in paper.explored}
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("metric", "comparison", "threads", "oversubscribed", "label", "baseline", "ratio",
                         "ci_lo", "ci_hi", "n", "n_lost", "baseline_median", "p", "p_adjusted"))
        for r in paper.ratios:
            bounds = ["" if v is None else f"{v:.6g}" for v in (r.low, r.high)]
            p = "" if r.label in columns.REFERENCES else f"{r.p_differs:.6g}"
            writer.writerow((r.metric, r.comparison, r.threads, int(r.is_oversubscribed), r.label, r.base,
                             f"{r.value:.6g}", *bounds, r.n, r.n_lost, f"{r.base_median:.10g}", p,
                             f"{adjusted[id(r)]:.6g}" if id(r) in adjusted else ""))


def few_notes(groups):
    """What must be said when there are fewer processes than a paper should have."""
    notes = []
    n = min((g.n for g in groups if g.n), default=0)
    if n < MIN_REPS:
        notes.append(f"**n = {n}: fewer than {MIN_REPS} processes a cell, as was asked for; not fit to "
                     "print.**" + (f" Under {MIN_BLOCKS} there are no intervals." if n < MIN_BLOCKS else ""))
    return notes
