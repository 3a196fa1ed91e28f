"""Draws the contrasts, a heat map and a forest plot, with matplotlib."""
from heapdyno import style
from heapdyno.contrast import caption, cell_colour, heat_cells, heat_notes, heat_title, is_decided
from heapdyno.draw import FAINT, INK, Figure, Rectangle, shortened


def draw_heat(c, machine):
    """The cells of heat_cells; the number in a cell is the ratio."""
    across, down, cells = heat_cells(c)
    longest = max(map(len, across))
    notes = heat_notes(c, machine)
    left, top = max(1.75, 0.3 + 0.08 * max(map(len, down))), 0.6 + 0.056 * longest
    bottom = 0.3 + 0.2 * len(notes)
    right = max(0.3, 0.056 * longest - 0.3)  # which the last name reaches beyond its column
    width, height = left + 0.78 * len(across) + right, top + 0.42 * len(down) + bottom
    width = max(width, 7.2)
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((left / width, bottom / height, 0.78 * len(across) / width,
                            0.42 * len(down) / height))
    for x, y, ratio in cells:
        _heat_cell(axes, c, ratio, x, y)
    axes.set_xlim(-0.5, len(across) - 0.5)
    axes.set_ylim(len(down) - 0.5, -0.5)
    axes.set_yticks(range(len(down)), down, fontsize=9)
    axes.set_xticks(range(len(across)), across, fontsize=8.5, rotation=40, ha="left", rotation_mode="anchor")
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    texts = [(height - 0.3, heat_title(c), 13, "bold", INK)] + [
        (bottom - 0.35 - 0.2 * i, shortened(note, 20 * int(width)), 8, "normal", FAINT)
        for i, note in enumerate(notes)]
    for y, text, size, weight, colour in texts:
        figure.text(0.15 / width, y / height, text, fontsize=size, weight=weight, color=colour)
    return figure


def _heat_cell(axes, c, ratio, x, y):
    if ratio is None:
        axes.text(x, y, "-", ha="center", va="center", fontsize=9, color=FAINT)
        return
    colour = cell_colour(c, ratio)
    decided = is_decided(ratio)
    axes.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, facecolor=colour, edgecolor=FAINT,
                             linewidth=0 if decided else 0.3, hatch=None if decided else "////",
                             gid=f"{'decided' if decided else 'undecided'}"))
    axes.text(x, y, f"{ratio.value:.2f}", ha="center", va="center", fontsize=9, color=INK,
              bbox={"facecolor": colour, "edgecolor": "none", "pad": 1})


def draw_forest(c, machine):
    """One row an allocator and workload: ratio with its interval, on a log axis; hollow: not told apart."""
    rows = [(comparison, label, c.ratios[label, comparison]) for comparison in c.comparisons
            for label in c.labels if (label, comparison) in c.ratios]
    looks = style.looks(c.labels + (c.reference,))
    names = style.short_names(c.labels)
    gaps = [i + 0.8 * c.comparisons.index(comparison) for i, (comparison, _, _) in enumerate(rows)]
    height = 1.85 + 0.235 * (gaps[-1] + 1)
    figure = Figure(figsize=(8.6, height))
    axes = figure.add_axes((0.34, 1.05 / height, 0.50, 1 - 1.75 / height))
    axes.axvline(1, color=INK, linewidth=0.8, zorder=1)
    for y, (comparison, label, r) in zip(gaps, rows):
        look, decided = looks[label], is_decided(r)
        if r.low == r.low:
            axes.plot([r.low, r.high], [y, y], color=look.colour, linewidth=1.5, zorder=2)
        axes.plot([r.value], [y], color=look.colour, marker=look.marker, markersize=5.5, zorder=3,
                  markerfacecolor=look.colour if decided else "white", gid=f"forest-{comparison}-{label}")
        interval = f" [{r.low:.2f}, {r.high:.2f}]" if r.low == r.low else ""
        axes.text(1.02, y, f"{r.value:.2f}{interval}", va="center", fontsize=8, color=INK,
                  transform=axes.get_yaxis_transform())
    axes.set_yticks(gaps, [names[label] for _, label, _ in rows], fontsize=8)
    axes.set_ylim(gaps[-1] + 0.8, -0.8)
    for comparison in c.comparisons:
        first = next(y for y, row in zip(gaps, rows) if row[0] == comparison)
        axes.text(-0.66, first, f"{comparison}, {c.threads[comparison]}", fontsize=8.5, weight="bold",
                  transform=axes.get_yaxis_transform(), va="center", color=INK)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda v, _: f"{v:g}")
    axes.set_xlabel(f"{c.title} over {c.reference}'s (log scale); "
                    f"{'right' if c.is_more_better else 'left'} is better", fontsize=8.5)
    notes = "bars: 95 % interval of the ratio of medians, none where n < 6; hollow: not told apart"
    texts = ((height - 0.3, heat_title(c), 13, "bold", INK),
             (0.46, notes, 7.5, "normal", FAINT), (0.3, caption(c), 7.5, "normal", FAINT),
             (0.14, machine, 7.5, "normal", FAINT))
    for y, text, size, weight, colour in texts:
        figure.text(0.02, y / height, text, fontsize=size, weight=weight, color=colour)
    return figure
