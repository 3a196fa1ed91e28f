"""All figures of a run, in the order in which they are shown: what plot.py draws and the report contains.

A new kind of figure is a function of (run, summary) that yields Drawings, and a word in SOURCES.
"""
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from heapdyno.draw import draw_overview, draw_panel, draw_picture
from heapdyno.draw_latency import draw_latency
from heapdyno.latency import describe_latency, latency_pictures
from heapdyno.picture import METRICS, describe, picture


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


def figures(run, summary):
    """The Drawings of a run. Nothing is drawn yet."""
    return [drawing for source in SOURCES for drawing in source(run, summary)]


def against_threads(run, summary):
    """A metric against the number of threads: one figure a comparison, and one with all of them."""
    for metric, style in METRICS.items():
        pictures = [picture(run, summary, c, metric) for c in summary["comparison"].unique()]
        pictures = [p for p in pictures if p is not None]
        for p in pictures:
            yield Drawing(f"{style.file_name}-{p.comparison}", f"{p.comparison}: {style.title}", describe(p),
                          p.comparison, partial(draw_picture, p), partial(draw_panel, p))
        if len(pictures) > 1:
            yield Drawing(f"overview-{style.file_name}", f"{style.overview}, against threads",
                          "One small picture for each workload.", None, partial(draw_overview, pictures),
                          is_overview=True)


def by_percentile(run, summary):
    """Latency by percentile: one figure an operation and comparison."""
    del summary
    for p in latency_pictures(run):
        yield Drawing(p.name, p.heading, describe_latency(p), p.comparison, partial(draw_latency, p))


SOURCES = (against_threads, by_percentile)
