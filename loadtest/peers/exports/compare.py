"""Counts the classes of an export's file with Polars and DuckDB, beside the kernels, on two threads.

Usage: compare.py FILE SECONDS: a Parquet file of `export_bench`, and what the kernels took.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable

os.environ["POLARS_MAX_THREADS"] = "2"

import duckdb  # noqa: E402
import polars  # noqa: E402
import pyarrow.parquet  # noqa: E402

TURNS = 7


def best(count: Callable[[], int]) -> tuple[float, int]:
    """Returns the least time of several turns, and what was counted."""
    times = []
    for _ in range(TURNS):
        started = time.perf_counter()
        counted = count()
        times.append(time.perf_counter() - started)
    return min(times), counted


def main() -> None:
    """Prints a line for each library: its time, and how many times that of the kernels."""
    path, kernels = sys.argv[1], float(sys.argv[2])
    metadata = {key.decode(): value.decode() for key, value in pyarrow.parquet.read_metadata(path).metadata.items()}
    quasi, sensitive = json.loads(metadata["quasi_identifiers"]), json.loads(metadata["sensitive"])
    # Both have the columns in memory, as the kernels do, with words as codes of dictionaries.
    frame = polars.read_parquet(path, columns=quasi + sensitive).with_columns(polars.all().cast(polars.Categorical))
    aggregates = [polars.len(), *(polars.col(column).n_unique() for column in sensitive)]
    rows = {"polars": best(lambda: frame.group_by(quasi).agg(aggregates).height)}
    with duckdb.connect(config={"threads": 2}) as connection:
        words = ", ".join(f"CAST({column} AS ENUM_{column}) AS {column}" for column in quasi + sensitive)
        for column in quasi + sensitive:
            connection.execute(f"CREATE TYPE ENUM_{column} AS ENUM (SELECT DISTINCT {column} FROM read_parquet('{path}') WHERE {column} IS NOT NULL)")
        connection.execute(f"CREATE TABLE people AS SELECT {words} FROM read_parquet('{path}')")
        counts = ", ".join(f"count(DISTINCT {column})" for column in sensitive)
        query = f"SELECT count(*) FROM (SELECT count(*), {counts} FROM people GROUP BY {', '.join(quasi)})"
        rows["duckdb"] = best(lambda: connection.execute(query).fetchone()[0])
    print(f"kernels  {kernels * 1000:8.1f} ms")
    for name, (seconds, classes) in rows.items():
        print(f"{name:8} {seconds * 1000:8.1f} ms  {seconds / kernels:6.1f} x the kernels (goal 3), {classes} classes")


if __name__ == "__main__":
    main()
