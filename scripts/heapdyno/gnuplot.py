"""Writes summary.gp: what the gnuplot scripts need beside the numbers of summary.csv, from the same
pictures that matplotlib draws, so that colours, order, axes and marks agree."""
from heapdyno.picture import METRICS, picture


def write_settings(run, summary, path):
    """One block a picture, chosen by gnuplot's variables `workload` (the comparison's name) and `metric`."""
    lines = ["# Written by summarize.py: the look of the figures. The numbers are in summary.csv.",
             f"comparisons = {text(' '.join(summary['comparison'].unique()))}", "is_known = 0"]
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
             f"pictures = {text(there)}", "is_known = 0"]
    for p in pictures:
        lines += ["", f"if (workload eq {text(p.comparison)} && operation eq {text(p.operation)}) {{",
                  "  is_known = 1",
                  f"  heading = {text(p.heading)}",
                  f"  conditions = {text(p.conditions)}",
                  f"  caption = {text(p.caption)}",
                  f"  machine = {text(p.machine)}",
                  f"  timer_ns = {number(p.timer_ns if p.timer_ns is not None else -1)}",
                  f"  x_low = {number(p.x_limits[0])}", f"  x_high = {number(p.x_limits[1])}",
                  f"  y_low = {number(p.y_limits[0])}", f"  y_high = {number(p.y_limits[1])}",
                  array("x_at", (number(at) for at, _ in p.x_ticks)),
                  array("x_text", (text(words.replace("%", "%%")) for _, words in p.x_ticks)),
                  array("y_at", (number(at) for at, _ in p.y_ticks)),
                  array("y_text", (text(words) for _, words in p.y_ticks)),
                  *looks_of(p.lines), "}"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def looks_of(lines):
    """Arrays that say how each of the lines (label, title, look) is drawn and named."""
    return [array("labels", (text(line.label) for line in lines)),
            array("titles", (text(line.title) for line in lines)),
            array("colours", (text(line.look.colour) for line in lines)),
            array("point_types", (str(line.look.point_type) for line in lines)),
            array("dashes", ("2" if line.look.is_reference else "1" for line in lines))]


def text(words):
    """A string in gnuplot's language."""
    return "'" + str(words).replace("'", "''") + "'"


def array(name, values):
    """A line that makes an array of these, which are already in gnuplot's language."""
    values = list(values)
    return f"  array {name}[{len(values)}] = [{', '.join(values)}]"


def number(value):
    return f"{value:.8g}"


def _block(p):
    shade = p.shade_from if p.shade_from is not None else -1
    per_thread, up_to = p.ideal or (0, 0)
    limits = p.limits or ((-1, ""),)
    return [
        "", f"if (workload eq {text(p.comparison)} && metric eq {text(p.metric)}) {{",
        "  is_known = 1",
        f"  heading = {text(p.comparison + ': ' + p.style.title)}",
        f"  conditions = {text(p.conditions)}",
        f"  y_title = {text(p.style.axis + (' (log scale)' if p.is_log else ''))}",
        f"  scale = {number(p.style.scale)}",
        f"  caption = {text(p.caption)}",
        f"  remark = {text(p.remark)}",
        f"  machine = {text(p.machine)}",
        f"  is_log = {int(p.is_log)}",
        f"  y_low = {number(p.y_limits[0])}",
        f"  y_high = {number(p.y_limits[1])}",
        f"  has_ideal = {int(bool(p.ideal))}",
        f"  ideal_text = {text(p.style.ideal)}",
        f"  ideal_per_thread = {number(per_thread)}",
        f"  ideal_up_to = {number(up_to)}",
        f"  n_fits = {len(p.fits)}",
        *(array(f"fit_{name}", (number(getattr(f, name)) for f in p.fits) if p.fits else ("0",))
          for name in ("base", "sigma", "kappa", "low", "high")),
        array("fit_colour", (text(f.look.colour) for f in p.fits) if p.fits else ("'#000000'",)),
        f"  shade_from = {number(shade)}",
        array("thread_counts", (number(t) for t in p.threads)),
        array("log_ticks", (number(t) for t in p.y_ticks or (-1,))),
        array("limit_at", (number(t) for t, _ in limits)),
        array("limit_text", (text(words) for _, words in limits)),
        array("alone", (text("".join(f" {t:.0f} " for t in line.alone())) for line in p.lines)),
        array("dodge", (number(p.dodge(line)) for line in p.lines)),
        *looks_of(p.lines),
        "}"]
