"""Writes summary.gp: what the gnuplot scripts need beside the numbers of summary.csv, from the same
pictures that matplotlib draws, so that colours, order, axes and marks agree."""
from heapdyno.picture import METRICS, picture


def write_settings(run, summary, path):
    """One block a picture, chosen by gnuplot's variables `workload` (the comparison's name) and `metric`."""
    lines = ["# Written by summarize.py: the look of the figures. The numbers are in summary.csv.",
             f"comparisons = {_text(' '.join(summary['comparison'].unique()))}", "is_known = 0"]
    for metric in METRICS:
        for comparison in summary["comparison"].unique():
            p = picture(run, summary, comparison, metric)
            if p is not None:
                lines += _block(p)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_latency_settings(pictures, path):
    """The same for latencies, by the variables `workload` and `operation`; the numbers are in
    latency-summary.csv."""
    there = " ".join(f"{p.comparison}/{p.operation}" for p in pictures)
    lines = ["# Written by summarize.py: the look of the figures. The numbers are in latency-summary.csv.",
             f"pictures = {_text(there)}", "is_known = 0"]
    for p in pictures:
        lines += ["", f"if (workload eq {_text(p.comparison)} && operation eq {_text(p.operation)}) {{",
                  "  is_known = 1",
                  f"  heading = {_text(p.heading)}",
                  f"  conditions = {_text(p.conditions)}",
                  f"  caption = {_text(p.caption)}",
                  f"  machine = {_text(p.machine)}",
                  f"  timer_ns = {_number(p.timer_ns if p.timer_ns is not None else -1)}",
                  f"  x_low = {_number(p.x_limits[0])}", f"  x_high = {_number(p.x_limits[1])}",
                  f"  y_low = {_number(p.y_limits[0])}", f"  y_high = {_number(p.y_limits[1])}",
                  _array("x_at", (_number(at) for at, _ in p.x_ticks)),
                  _array("x_text", (_text(text.replace("%", "%%")) for _, text in p.x_ticks)),
                  _array("y_at", (_number(at) for at, _ in p.y_ticks)),
                  _array("y_text", (_text(text) for _, text in p.y_ticks)),
                  *_looks(p.lines), "}"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _looks(lines):
    return [_array("labels", (_text(line.label) for line in lines)),
            _array("titles", (_text(line.title) for line in lines)),
            _array("colours", (_text(line.look.colour) for line in lines)),
            _array("point_types", (str(line.look.point_type) for line in lines)),
            _array("dashes", ("2" if line.look.is_reference else "1" for line in lines))]


def _text(text):
    return "'" + str(text).replace("'", "''") + "'"


def _array(name, values):
    values = list(values)
    return f"  array {name}[{len(values)}] = [{', '.join(values)}]"


def _number(value):
    return f"{value:.8g}"


def _block(p):
    shade = p.shade_from if p.shade_from is not None else -1
    per_thread, up_to = p.ideal or (0, 0)
    limits = p.limits or ((-1, ""),)
    return [
        "", f"if (workload eq {_text(p.comparison)} && metric eq {_text(p.metric)}) {{",
        "  is_known = 1",
        f"  heading = {_text(p.comparison + ': ' + p.style.title)}",
        f"  conditions = {_text(p.conditions)}",
        f"  y_title = {_text(p.style.axis + (' (log scale)' if p.is_log else ''))}",
        f"  scale = {_number(p.style.scale)}",
        f"  caption = {_text(p.caption)}",
        f"  remark = {_text(p.remark)}",
        f"  machine = {_text(p.machine)}",
        f"  is_log = {int(p.is_log)}",
        f"  y_low = {_number(p.y_limits[0])}",
        f"  y_high = {_number(p.y_limits[1])}",
        f"  has_ideal = {int(bool(p.ideal))}",
        f"  ideal_text = {_text(p.style.ideal)}",
        f"  ideal_per_thread = {_number(per_thread)}",
        f"  ideal_up_to = {_number(up_to)}",
        f"  n_fits = {len(p.fits)}",
        *(_array(f"fit_{name}", (_number(getattr(f, name)) for f in p.fits) if p.fits else ("0",))
          for name in ("base", "sigma", "kappa", "low", "high")),
        _array("fit_colour", (_text(f.look.colour) for f in p.fits) if p.fits else ("'#000000'",)),
        f"  shade_from = {_number(shade)}",
        _array("thread_counts", (_number(t) for t in p.threads)),
        _array("log_ticks", (_number(t) for t in p.y_ticks or (-1,))),
        _array("limit_at", (_number(t) for t, _ in limits)),
        _array("limit_text", (_text(text) for _, text in limits)),
        *_looks(p.lines),
        "}"]
