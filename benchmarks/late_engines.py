"""One join over a slow store, by one engine, in a process of its own; prints its seconds and memory as JSON.

    python -m benchmarks.late_engines CASE '{"endpoint": ..., "key": "c1", "output": ...}'

Every case joins R and S on `id` = the key column asked for, keeps both payloads, and writes the rows to a Parquet file.
Nothing here imports Esker at the top: the peers' interpreter has none.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BUCKET = "bench"
COLUMNS = ("id", "payload_r", "payload_s")

Asked = dict[str, Any]


def esker(asked: Asked) -> None:
    """Join two frozen data sets, their payload on the store, their keys in a local folder."""
    import esker

    left = esker.read(asked["right_folder"]).select([asked["key"], "payload_s"])
    right = esker.read(asked["left_folder"])
    joined = left.join(right, left_on=[asked["key"]], right_on=["id"], algorithm=asked.get("algorithm", "auto"))
    joined = joined.with_options(memory=asked.get("memory"), log=asked["output"] + ".log")
    result = joined.execute()
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetWriter(asked["output"], result.schema, compression="none") as writer:
        for batch in result:
            writer.write_table(pa.Table.from_batches([batch]))


def polars(asked: Asked) -> None:
    """The streaming engine, sinking to Parquet."""
    import polars as pl

    options = {
        "aws_endpoint_url": asked["endpoint"],
        "aws_allow_http": "true",
        "aws_skip_signature": "true",
        "aws_region": "us-east-1",
    }
    left, right = (
        pl.scan_parquet(f"s3://{BUCKET}/peers/{name}.parquet", storage_options=options) for name in ("r", "s")
    )
    joined = right.select(asked["key"], "payload_s").join(
        left, left_on=asked["key"], right_on="id", how="inner", coalesce=False
    )
    joined.select(*COLUMNS).sink_parquet(asked["output"], compression="uncompressed", engine="streaming")


def daft(asked: Asked) -> None:
    """The native runner."""
    import daft as engine
    from daft.io import IOConfig, S3Config

    config = IOConfig(
        s3=S3Config(endpoint_url=asked["endpoint"], anonymous=True, region_name="us-east-1", use_ssl=False)
    )
    left, right = (engine.read_parquet(f"s3://{BUCKET}/peers/{name}.parquet", io_config=config) for name in ("r", "s"))
    joined = right.select(asked["key"], "payload_s").join(left, left_on=asked["key"], right_on="id", how="inner")
    names = joined.column_names
    wanted = [engine.col("id" if "id" in names else asked["key"]).alias("id"), "payload_r", "payload_s"]
    import pyarrow.parquet as pq

    pq.write_table(joined.select(*wanted).to_arrow(), asked["output"], compression="none")


def acero(asked: Asked) -> None:
    """Arrow's own engine, through pyarrow's data sets."""
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq
    from pyarrow.fs import S3FileSystem

    place = asked["endpoint"].removeprefix("http://")
    store = S3FileSystem(endpoint_override=place, scheme="http", anonymous=True, region="us-east-1")
    left, right = (ds.dataset(f"{BUCKET}/peers/{name}.parquet", filesystem=store) for name in ("r", "s"))
    wanted = right.scanner([asked["key"], "payload_s"]).to_table()
    joined = wanted.join(left.to_table(), asked["key"], "id", join_type="inner", coalesce_keys=True)
    pq.write_table(joined.rename_columns({asked["key"]: "id"}).select(COLUMNS), asked["output"], compression="none")


def datafusion(asked: Asked) -> None:
    """DataFusion with filter pushdown into Parquet, off unless asked for, over Esker's payload: it has a page index."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from datafusion import SessionConfig, SessionContext
    from datafusion.object_store import AmazonS3

    config = SessionConfig({"datafusion.execution.parquet.pushdown_filters": "true"})
    context = SessionContext(config)
    store = AmazonS3(
        bucket_name=BUCKET,
        region="us-east-1",
        access_key_id="none",
        secret_access_key="none",
        endpoint=asked["endpoint"],
        allow_http=True,
    )
    context.register_object_store("s3://", store, host=BUCKET)
    for name in ("r", "s"):
        context.register_parquet(name, f"s3://{BUCKET}/frozen/{name}/")
    key = asked["key"]
    frame = context.sql(f'SELECT r.id, r.payload_r, s.payload_s FROM r JOIN s ON s."{key}" = r.id')
    table = pa.Table.from_batches(frame.collect())
    pq.write_table(table, asked["output"], compression="none")


CASES: dict[str, Callable[[Asked], None]] = {
    "esker": esker,
    "polars": polars,
    "daft": daft,
    "acero": acero,
    "datafusion": datafusion,
}

# What each imports when it first works.
IMPORTS = {
    "esker": ("esker.collection.dataset", "esker.engine.sources.frozen", "boto3", "obstore", "pyarrow.parquet"),
    "polars": ("polars",),
    "daft": ("daft", "pyarrow.parquet"),
    "acero": ("pyarrow.dataset", "pyarrow.parquet", "pyarrow.fs"),
    "datafusion": ("datafusion", "pyarrow.parquet"),
}


def main(arguments: list[str]) -> None:
    """Run a case and say what it took."""
    name, text = arguments
    asked: Asked = json.loads(text)
    # Starting an interpreter is nobody's join.
    for module in IMPORTS[name]:
        importlib.import_module(module)
    begin = time.perf_counter()
    CASES[name](asked)
    seconds = time.perf_counter() - begin
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
    print(json.dumps({"seconds": seconds, "peak_bytes": peak}))
    sys.stdout.flush()
    # Engines leave threads behind that wait for the store.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
