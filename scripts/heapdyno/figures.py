"""All figures of a run, in the order in which they are shown: what plot.py draws and the report contains.

A new kind of figure is a function of (run, summary) that yields Drawings and LeftOuts, and a word in SOURCES.
"""
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from heapdyno import contrast, drift, tradeoff
from heapdyno.draw import draw_overview, draw_panel, draw_picture, overview_title
from heapdyno.draw_contrast import draw_forest, draw_heat
from heapdyno.draw_latency import draw_latency
from heapdyno.draw_memory import (draw_bars, draw_bars_panel, draw_time, draw_time_overview,
                                  draw_time_panel)
from heapdyno.draw_tradeoff import draw_tradeoff
from heapdyno.latency import describe_latency, latency_pictures
from heapdyno.memory_picture import bar_pictures, time_pictures, widest
from heapdyno.picture import METRICS, describe, machine_of, picture


@dataclass(frozen=True)
class Drawing:
    """A figure that can be drawn. `draw` returns a matplotlib Figure; so does `draw_narrow`, one about five
    inches wide, to stand beside another or on a phone (None: there is one size only)."""
    name: str                 # of its files, without the ending
    title: str
    text: str                 # what it shows, for those who cannot see it
    comparison: str | None    # the part of the run that it shows; None: all of it
    draw: Callable
    draw_narrow: Callable | None = None
    is_overview: bool = False    # repeats, in small, what other figures show
    keeps_paper: bool = False    # text lies on filled areas: stays black on white where the page is dark


@dataclass(frozen=True)
class LeftOut:
    """A figure that the run has no data for."""
    name: str
    why: str


def figures(run, summary):
    """The Drawings of a run. Nothing is drawn yet."""
    return [found for found in all_figures(run, summary) if isinstance(found, Drawing)]


def all_figures(run, summary):
    """The Drawings, and the LeftOuts between them."""
    return [found for source in SOURCES for found in source(run, summary)]


def against_threads(run, summary):
    """A metric against the number of threads: one figure a comparison, and one with all of them."""
    for metric, style in METRICS.items():
        pictures = {c: picture(run, summary, c, metric) for c in summary["comparison"].unique()}
        for comparison in (c for c, p in pictures.items() if p is None):
            yield LeftOut(f"{style.file_name}-{comparison}", style.needs)
        pictures = [p for p in pictures.values() if p is not None]
        for p in pictures:
            yield Drawing(f"{style.file_name}-{p.comparison}", f"{p.comparison}: {style.title}", describe(p),
                          p.comparison, partial(draw_picture, p), partial(draw_panel, p))
        if len(pictures) > 1:
            yield Drawing(f"overview-{style.file_name}", f"{overview_title(pictures)}, against threads",
                          "One small picture for each workload.", None, partial(draw_overview, pictures),
                          is_overview=True)


def by_percentile(run, summary):
    """Latency by percentile: one figure an operation and comparison."""
    del summary
    for p in latency_pictures(run):
        yield Drawing(p.name, p.heading, describe_latency(p), p.comparison, partial(draw_latency, p))


def against_reference(run, summary):
    """Every allocator as a multiple of one: heat map and forest plot."""
    for metric, file_name in contrast.FILES.items():
        found = contrast.contrast(run, summary, metric)
        if isinstance(found, str):
            yield LeftOut(f"ratios-{file_name}, forest-{file_name}", found)
            continue
        title, text = contrast.heat_title(found), contrast.describe(found)
        yield Drawing(f"ratios-{file_name}", title, text, None,
                      partial(draw_heat, found, machine_of(run)), keeps_paper=True)
        yield Drawing(f"forest-{file_name}", title, text, None,
                      partial(draw_forest, found, machine_of(run)), is_overview=True)


def speed_against_memory(run, summary):
    for comparison in summary["comparison"].unique():
        found = tradeoff.tradeoff(summary, comparison)
        if isinstance(found, str):
            yield LeftOut(f"tradeoff-{comparison}", found)
        else:
            yield Drawing(f"tradeoff-{comparison}", f"{comparison}: throughput against peak RSS",
                          tradeoff.describe(found), comparison,
                          partial(draw_tradeoff, found, machine_of(run)))


def in_order(run, summary):
    found = drift.drift(run)
    if isinstance(found, str):
        yield LeftOut("run-order", found)
    else:
        yield Drawing("run-order", "The run in the order of measuring", drift.slope_text(found), None,
                      partial(drift.draw, found, summary["label"], machine_of(run)))


def over_time(run, _):
    """Memory held over time: one figure a comparison and thread count, and one with a panel a workload."""
    pictures = time_pictures(run)
    for p in pictures:
        ends = ", ".join(f"{c.title} {c.values[-1]:.3g}" for c in p.curves)
        yield Drawing(p.name, p.heading,
                      f"MiB held over seconds. At the end, from the top: {ends}. {p.caption}.",
                      p.comparison, partial(draw_time, p), partial(draw_time_panel, p))
    if len({p.comparison for p in pictures}) > 1:
        yield Drawing("overview-memory", "memory held over time, MiB", "One small panel for each workload.",
                      None, partial(draw_time_overview, widest(pictures)), is_overview=True)


def retained(run, summary):
    """Memory retained after everything was freed: bars."""
    for p in bar_pictures(run, summary):
        text = "; ".join(f"{title} " + ", ".join(f"{v:.3g}" for v in values)
                         for _, title, _, values in p.bars)
        yield Drawing(p.name, p.heading, f"MiB held after {', '.join(p.moments)}: {text}. {p.caption}.",
                      p.comparison, partial(draw_bars, p), partial(draw_bars_panel, p))


SOURCES = (against_threads, speed_against_memory, by_percentile, against_reference, in_order, over_time,
           retained)
