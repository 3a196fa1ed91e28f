"""What the scripts share: reading a run folder, statistics, and the look of tables and figures.

The way of the data is one direction: `run` reads and validates samples.csv, `summary` reduces it to medians
with intervals, `table`, `figures` and `gnuplot` show a summary. Nothing here starts a measurement.
"""
