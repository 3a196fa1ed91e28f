"""Memory over time: the samples of rss.csv, and what is derived from them and from the rows of the rss pass.

Held is what a process has resident beyond its start and beyond the workload's own tables; see docs/memory.md.
"""
import io

import pandas as pd

from heapdyno.run import RunError, RunWarning

MARKS = {"retained_100ms_bytes": ("retained_100ms_rss_bytes", "0.1 s"),
         "retained_1s_bytes": ("retained_1s_rss_bytes", "1 s"),
         "retained_5s_bytes": ("retained_5s_rss_bytes", "5 s"),
         "retained_end_bytes": ("retained_rss_bytes", "threads ended")}
"""{derived column: (column of samples.csv, the moment after everything was freed)}."""

SERIES = ("cell_id", "repetition", "t_ns", "live_bytes", "rss_bytes", "pss_bytes", "anon_huge_bytes",
          "generations")
DRIFT_SAMPLES = 20
"""Fewer in the second half of a run say nothing of a slope."""
DRIFT_MAX_POINTS = 400
"""A median of slopes is over all pairs of points."""


def derive(run):
    """run.samples with the columns of MARKS, peak_overhead and drift_bytes; NaN where not of the rss pass or
    not measured."""
    samples = run.samples.copy()
    is_rss = (samples["pass"] == "rss") & (samples["status"] == "ok")
    if not is_rss.any() or "rss_samples" not in samples:
        return samples
    base = samples["start_rss_bytes"] + samples["table_bytes"]
    for name, (column, _) in MARKS.items():
        samples[name] = (samples[column] - base).where(is_rss)
    peak = samples[["peak_rss_bytes"]].max(axis=1) - base
    has_live = is_rss & (samples["peak_live_bytes"] > 0)
    samples["peak_overhead"] = (peak / samples["peak_live_bytes"]).where(has_live)
    samples["drift_bytes"] = float("nan")
    if (run.folder / "rss.csv").exists():
        for line, series in each_series(run, samples[is_rss]):
            samples.loc[line, "drift_bytes"] = drift(series)
    else:
        run.warnings.append(RunWarning("no-rss", f"{run.folder / 'rss.csv'}: missing; no curves, no drift"))
    return samples


def read_series(path):
    """The rows of rss.csv as a DataFrame, numbers as float. RunError when they cannot be trusted."""
    try:
        whole, _, _ = path.read_bytes().rpartition(b"\n")
    except OSError as error:
        raise RunError(f"{path}: {error.strerror}") from error
    try:
        table = pd.read_csv(io.BytesIO(whole), dtype={"cell_id": str, "allocator": str, "config": str},
                            keep_default_na=False, na_values=[""])
        numbers = [c for c in SERIES if c != "cell_id"]
        table[numbers] = table[numbers].astype(float)
    except (ValueError, KeyError) as error:
        raise RunError(f"{path}: cannot be read as samples: {error}") from error
    return table


def each_series(run, rows):
    """(line, series) of each of these rows of the rss pass: a DataFrame with t_s, live_bytes, held_bytes,
    generations. RunError where the row says that there are more samples, or fewer."""
    path = run.folder / "rss.csv"
    groups = {key: group for key, group in read_series(path).groupby(["cell_id", "repetition"], sort=False)}
    for line, row in rows.iterrows():
        group = groups.get((row["cell_id"], row["repetition"]))
        n = 0 if group is None else len(group)
        if n != row["rss_samples"]:
            raise RunError(f"{path}: {n} samples of cell {row['cell_id']}, repetition "
                           f"{row['repetition']:.0f}, but samples.csv says {row['rss_samples']:.0f}")
        if n == 0:
            continue
        base = row["start_rss_bytes"] + row["table_bytes"]
        yield line, pd.DataFrame({"t_s": group["t_ns"].to_numpy() / 1e9,
                                  "live_bytes": group["live_bytes"].to_numpy(),
                                  "held_bytes": group["rss_bytes"].to_numpy() - base,
                                  "generations": group["generations"].to_numpy()})


def drift(series):
    """Bytes held more with each generation, over the second half of the generations: the median of the slopes
    between samples (Theil 1950, Sen 1968). NaN without successors, or with too few samples."""
    n_last = series["generations"].max()
    running = series[series["generations"] < n_last]
    half = running[running["generations"] >= n_last / 2]
    if not n_last > 0 or len(half) < DRIFT_SAMPLES or half["generations"].nunique() < 2:
        return float("nan")
    step = -(-len(half) // DRIFT_MAX_POINTS)
    from scipy.stats import theilslopes   # 75 ms to load, and most runs watch no memory
    return float(theilslopes(half["held_bytes"][::step], half["generations"][::step])[0])


def is_worth_a_curve(series):
    return len(series) >= 2 and series["t_s"].iloc[-1] > series["t_s"].iloc[0]
