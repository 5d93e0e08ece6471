"""Bulk exports, opened by foreign libraries: pyarrow, DuckDB, Polars; k and l recomputed by pycanon."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import polars
import pyarrow.ipc
import pyarrow.parquet
from pycanon import anonymity

from .api import Api
from .server import Server
from .standalone import prove
from .tokens import Minter

PEOPLE = 3_000
K, L = 12, 2
FORMATS = ("parquet", "arrow", "ndjson")
MISSING = "(missing)"


async def load(program: Path, api: Api, minter: Minter, directory: Path) -> None:
    """Posts the history of a generated population."""
    subprocess.run([program, "generate", "--users", str(PEOPLE), "--out", f"{directory}/"], check=True, capture_output=True)
    for file in sorted(directory.iterdir()):
        answer = await api.call(
            "POST", f"/api/v2/feeds/{file.stem}", minter.feed(file.stem), file.read_bytes(), Content_Type="application/x-ndjson",
        )
        assert answer is not None and answer.status == 200, answer


def export(program: Path, address: str, token: str, out: Path) -> None:
    """Exports with the server's command, and checks the file with its verifier."""
    command = [program, "export", "--server", address, "--token", "-", "--out", out, "--k", str(K), "--l", str(L)]
    subprocess.run(command, input=token.encode(), check=True, stdout=subprocess.DEVNULL)
    subprocess.run([program, "verify-export", out], check=True, stdout=subprocess.DEVNULL)


def frame(path: Path) -> tuple[polars.DataFrame, dict[str, str]]:
    """Opens a file with Polars, and returns its rows and its metadata."""
    match path.suffix:
        case ".parquet":
            metadata = pyarrow.parquet.read_metadata(path).metadata
            return polars.read_parquet(path), {key.decode(): value.decode() for key, value in metadata.items()}
        case ".arrow":
            metadata = pyarrow.ipc.open_file(path).schema.metadata
            return polars.read_ipc(path), {key.decode(): value.decode() for key, value in metadata.items()}
        case _:
            first, _, rest = path.read_bytes().partition(b"\n")
            return polars.read_ndjson(rest, infer_schema_length=None), json.loads(first)["_meta"]["metadata"]


def faults_of(path: Path) -> list[str]:
    """Returns what is wrong with a file."""
    rows, metadata = frame(path)
    quasi, sensitive = json.loads(metadata["quasi_identifiers"]), json.loads(metadata["sensitive"])
    faults = []
    if rows.height != int(metadata["rows"]) or rows.height < PEOPLE // 3:
        faults.append(f"{rows.height} rows, and the metadata says {metadata['rows']}")
    words = rows.select(polars.col(quasi + sensitive).cast(polars.String).fill_null(MISSING)).to_pandas()
    if (k := anonymity.k_anonymity(words, quasi)) < K:
        faults.append(f"pycanon counts k = {k}")
    for column in sensitive:
        if (l := anonymity.l_diversity(words, quasi, [column])) < L:
            faults.append(f"pycanon counts l = {l} for {column}")
    if rows.get_column("pseudonym").n_unique() != rows.height:
        faults.append("a pseudonym is there twice")
    return [f"{path.suffix}: {fault}" for fault in faults]


def duckdb_faults(path: Path) -> list[str]:
    """Counts the classes of a Parquet file with DuckDB, and reads its metadata."""
    with duckdb.connect() as connection:
        keys = dict(connection.execute("SELECT decode(key), decode(value) FROM parquet_kv_metadata(?)", [str(path)]).fetchall())
        quasi = ", ".join(json.loads(keys["quasi_identifiers"]))
        smallest = connection.execute(
            f"SELECT min(n) FROM (SELECT count(*) AS n FROM read_parquet(?) GROUP BY {quasi})", [str(path)],
        ).fetchone()
        groups = connection.execute("SELECT max(row_group_num_rows) FROM parquet_metadata(?)", [str(path)]).fetchone()
    faults = [] if smallest is not None and smallest[0] >= K else [f"DuckDB counts a class of {smallest}"]
    return faults if groups is not None and groups[0] <= 131_072 else [*faults, f"a row group of {groups}"]


async def run(server: Server) -> tuple[list[str], str]:
    """Returns the faults, and a summary of what was compared."""
    address = await server.start()
    minter = Minter(server.secret(), server.now_s)
    (events := server.directory / "generated").mkdir()
    await load(server.program, Api(server), minter, events)
    token = minter.token("adm:analyst", "admin", "export", amr=["mfa"])
    files = [server.directory / f"people.{format}" for format in FORMATS]
    for file in files:
        export(server.program, address, token, file)
    faults = [fault for file in files for fault in faults_of(file)] + duckdb_faults(files[0])
    heights = {frame(file)[0].height for file in files}
    if len(heights) != 1:
        faults.append(f"the formats have different numbers of rows: {heights}")
    return faults, f"{heights} rows in {', '.join(FORMATS)} opened by pyarrow, DuckDB and Polars; pycanon agrees on k and l"


if __name__ == "__main__":
    sys.exit(prove("exports", __doc__, run))
