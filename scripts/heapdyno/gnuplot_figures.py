"""Writes figures.gp and memory-summary.csv: what memory.gp, retained.gp, ratios.gp and tradeoff.gp draw, from
the same pictures that matplotlib draws."""
import csv

from heapdyno import contrast, style
from heapdyno.gnuplot import array, looks_of, number, text
from heapdyno.memory_picture import LIVE, SHADES, bar_pictures, time_pictures
from heapdyno.picture import machine_of
from heapdyno.tradeoff import CAPTION, RSS_AXIS, tradeoff

CURVE_COLUMNS = ("figure", "kind", "label", "seconds", "mib")
BARS_SHARE = 0.8
"""Of the distance between allocators, for all bars of one."""


def write_figures(run, summary, folder):
    """figures.gp, a block a figure, and, where memory was watched, memory-summary.csv into the folder."""
    curves = time_pictures(run)
    blocks = [*(_time_block(p) for p in curves), *(_bar_block(p) for p in bar_pictures(run, summary)),
              *_heat_blocks(run, summary), *_tradeoff_blocks(run, summary)]
    lines = ["# Written by summarize.py: what memory.gp, retained.gp, ratios.gp and tradeoff.gp draw.",
             f"known_figures = {text(' '.join(name for name, _ in blocks))}"]
    for name, settings in blocks:
        lines += ["", f"if (figure eq {text(name)}) {{", "  is_known = 1", *settings, "}"]
    (folder / "figures.gp").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if curves:
        _write_curves(curves, folder / "memory-summary.csv")


def _write_curves(pictures, path):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(CURVE_COLUMNS)
        for p in pictures:
            held = [("held", curve.label, curve) for curve in p.curves]
            for kind, label, curve in held + ([("live", "", p.live)] if p.live else []):
                writer.writerows((p.name, kind, label, f"{t:.7g}", f"{v:.7g}")
                                 for t, v in zip(curve.times, curve.values))


def _texts(heading, conditions, notes):
    return [f"  heading = {text(heading)}", f"  conditions = {text(conditions)}",
            array("notes", (text(note) for note in notes))]


def _time_block(p):
    return p.name, [*_texts(p.heading, p.conditions, (p.caption, p.machine)),
                    f"  x_high = {number(p.limits[0])}", f"  y_high = {number(p.limits[1])}",
                    f"  has_live = {int(p.live is not None)}", f"  live_colour = {text(LIVE)}",
                    *looks_of(p.curves)]


def _bar_block(p):
    n = len(p.moments)
    bars = [(i + 1 + (k - (n - 1) / 2) * BARS_SHARE / n, value, p.lows[i][k], p.highs[i][k],
             style.faded(look.colour, SHADES[k]))
            for i, (_, _, look, values) in enumerate(p.bars) for k, value in enumerate(values)
            if value == value]
    rows, values, lows, highs, colours = zip(*bars)
    return p.name, [*_texts(p.heading, p.conditions, (p.caption, p.machine)),
                    f"  names_width = {number(p.names_width * 100)}", f"  x_high = {number(p.right)}",
                    f"  x_title = {text(p.axis)}",
                    f"  live = {number(p.peak_live if p.shows_live else -1)}",
                    f"  bar_half = {number(BARS_SHARE / n / 2)}",
                    array("titles", (text(title) for _, title, _, _ in p.bars)),
                    array("bar_row", map(number, rows)),
                    array("bar_value", (number(max(v, 0)) for v in values)),
                    array("bar_low", (number(max(v, 0)) for v in lows)),
                    array("bar_high", (number(min(max(v, 0), p.right)) for v in highs)),
                    array("bar_colour", map(text, colours))]


def _heat_blocks(run, summary):
    for metric, file_name in contrast.FILES.items():
        c = contrast.contrast(run, summary, metric)
        if isinstance(c, str):
            continue
        across, down, cells = contrast.heat_cells(c)
        yield f"ratios-{file_name}", [
            *_texts(contrast.heat_title(c), "", contrast.heat_notes(c, machine_of(run))),
            array("row_titles", map(text, down)), f"  longest_row = {max(map(len, down))}",
            array("column_titles", map(text, across)), f"  longest_column = {max(map(len, across))}",
            array("cell_column", (str(x + 1) for x, _, _ in cells)),
            array("cell_row", (str(y + 1) for _, y, _ in cells)),
            array("cell_text", (text("-" if r is None else f"{r.value:.2f}") for _, _, r in cells)),
            array("cell_colour", (text(contrast.cell_colour(c, r) if r else "") for _, _, r in cells)),
            array("cell_is_decided", (str(int(bool(r and contrast.is_decided(r)))) for _, _, r in cells))]


def _tradeoff_blocks(run, summary):
    for comparison in summary["comparison"].unique():
        t = tradeoff(summary, comparison)
        if isinstance(t, str):
            continue
        values = {"rss": [p.rss for p in t.points], "rate": [p.rate for p in t.points],
                  "rss_low": [p.rss_bounds[0] for p in t.points],
                  "rss_high": [p.rss_bounds[1] for p in t.points],
                  "rate_low": [p.rate_bounds[0] for p in t.points],
                  "rate_high": [p.rate_bounds[1] for p in t.points],
                  "front_rss": [p.rss for p in t.on_front], "front_rate": [p.rate for p in t.on_front]}
        yield f"tradeoff-{comparison}", [
            *_texts(t.heading, t.params, (CAPTION, machine_of(run))),
            f"  x_high = {number(t.limits[0])}", f"  y_high = {number(t.limits[1])}",
            f"  x_title = {text(RSS_AXIS)}", f"  y_title = {text(t.unit + ' (up is better)')}",
            *(array(name, map(number, numbers)) for name, numbers in values.items()), *looks_of(t.points)]
