"""Exported files, read by DuckDB, polars and pandas: types, sums and numbers of rows."""

import decimal
import json
import pathlib
import sqlite3
import subprocess
import tempfile
import types
import unittest

import duckdb
import pandas
import polars
import pyarrow.parquet
import support

COLUMNS = [
    "market_ticker",
    "trade_id",
    "traded_at",
    "side",
    "price",
    "yes_price",
    "quantity",
    "is_block_trade",
    "ingested_at",
]


class Export(unittest.TestCase):
    """One database with trades of at least two days, exported once in each format."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.file = cls.folder / "kalshi.db"
        cls.database = ("--database-url", f"sqlite:{cls.file}")
        until_the_end = types.SimpleNamespace(addCleanup=cls.addClassCleanup)
        base_url, _ = support.simulator(until_the_end, "--markets", "3", "--trades", "2000", "--span", "30h")
        every = ("--series", "KXSIM", "--base-url", base_url, *cls.database)
        support.ingest("run", "-q", "--requests-per-second", "1000", "--since", "2026-01-01", *every)
        for form in ("parquet", "csv", "jsonl"):
            cls.export(form)
        with sqlite3.connect(cls.file) as connection:
            query = "select count(*), sum(price_e4), sum(quantity_e2) from prediction_market_trades"
            cls.rows, price, quantity = connection.execute(query).fetchone()
        cls.price, cls.quantity = decimal.Decimal(price) / 10_000, decimal.Decimal(quantity) / 100

    @classmethod
    def export(cls, form):
        """Exports what is stored."""
        to = cls.folder / form
        done = support.ingest("export", "--series", "KXSIM", "--format", form, "--directory", to, *cls.database)
        if done.returncode not in (0, 6):
            raise AssertionError(done.stderr)

    def test_duckdb_reads_the_types_of_parquet(self):
        files = f"read_parquet('{self.folder}/parquet/**/*.parquet', hive_partitioning = true)"
        described = duckdb.sql(f"describe select * from {files}").fetchall()
        kinds = {name: kind for name, kind, *_ in described}
        self.assertEqual([*COLUMNS, "date", "series"], [name for name, *_ in described])
        self.assertEqual(("DECIMAL(7,4)",) * 2, (kinds["price"], kinds["yes_price"]))
        self.assertEqual("DECIMAL(18,2)", kinds["quantity"])
        self.assertEqual(("TIMESTAMP WITH TIME ZONE",) * 2, (kinds["traded_at"], kinds["ingested_at"]))
        self.assertEqual(("VARCHAR", "BOOLEAN", "DATE"), (kinds["trade_id"], kinds["is_block_trade"], kinds["date"]))
        sums = duckdb.sql(f"select count(*), sum(price), sum(quantity), count(distinct date) from {files}").fetchone()
        self.assertEqual((self.rows, self.price, self.quantity), sums[:3])
        self.assertGreaterEqual(sums[3], 2)
        self.assertEqual(6_000, self.rows)
        days = duckdb.sql(f"select count(*) from {files} where date <> cast(traded_at at time zone 'UTC' as date)")
        self.assertEqual(0, days.fetchone()[0], "each row is in the file of its day")

    def test_polars_reads_the_types_of_parquet(self):
        frame = polars.scan_parquet(self.folder / "parquet/**/*.parquet", hive_partitioning=True)
        schema = frame.collect_schema()
        self.assertEqual(polars.Decimal(7, 4), schema["price"])
        self.assertEqual(polars.Decimal(18, 2), schema["quantity"])
        self.assertEqual(polars.Datetime("us", "UTC"), schema["traded_at"])
        sums = frame.select(polars.len(), polars.col("price").sum(), polars.col("quantity").sum()).collect().row(0)
        self.assertEqual((self.rows, self.price, self.quantity), sums)

    def test_pandas_reads_the_types_of_parquet(self):
        frames = [pandas.read_parquet(path) for path in sorted((self.folder / "parquet").rglob("*.parquet"))]
        frame = pandas.concat(frames)
        self.assertEqual("datetime64[us, UTC]", str(frame["traded_at"].dtype))
        self.assertEqual((self.rows, self.price, self.quantity), (len(frame), frame["price"].sum(), frame["quantity"].sum()))

    def test_parquet_has_statistics_its_order_and_its_claim(self):
        for path in (self.folder / "parquet").rglob("*.parquet"):
            file = pyarrow.parquet.ParquetFile(path)
            group = file.metadata.row_group(0)
            names = [group.column(at).path_in_schema for at in range(group.num_columns)]
            self.assertEqual(COLUMNS, names)
            for at, name in enumerate(names):
                self.assertEqual("ZSTD", group.column(at).compression)
                if name != "is_block_trade":
                    self.assertTrue(group.column(at).statistics.has_min_max, name)
            self.assertEqual([0, 2, 1], [column.column_index for column in group.sorting_columns])
            self.assertIn(file.metadata.metadata[b"kalshi_ingest.complete"], (b"true", b"false"))
            times = file.read(["market_ticker", "traded_at", "trade_id"]).to_pylist()
            keys = [tuple(row.values()) for row in times]
            self.assertEqual(sorted(keys), keys)

    def test_csv_and_json_lines_have_the_same_sums(self):
        for call in ("read_csv('{}/csv/**/*.csv')", "read_json('{}/jsonl/**/*.jsonl')"):
            files = call.format(self.folder)
            query = f"select count(*), sum(cast(price as decimal(7, 4))), sum(cast(quantity as decimal(18, 2))) from {files}"
            self.assertEqual((self.rows, self.price, self.quantity), duckdb.sql(query).fetchone(), call)
        frame = pandas.concat(pandas.read_csv(path) for path in (self.folder / "csv").rglob("*.csv"))
        self.assertEqual(self.rows, len(frame))

    def test_the_manifest_is_the_sum_of_its_files(self):
        for form in ("parquet", "csv", "jsonl"):
            manifest = json.loads((self.folder / form / "datapackage.json").read_text())
            facts = [resource["kalshi_ingest"] for resource in manifest["resources"]]
            self.assertEqual(self.rows, sum(fact["rows"] for fact in facts))
            self.assertEqual(self.quantity, sum(decimal.Decimal(fact["contracts"]) for fact in facts))
            self.assertEqual(self.rows, manifest["kalshi_ingest"]["rows"])
            schema = json.loads((self.folder / form / "schema.json").read_text())
            self.assertEqual(COLUMNS, [field["name"] for field in schema["fields"]])

    def test_an_empty_window_has_the_columns(self):
        to = self.folder / "empty"
        window = ("--from", "2026-01-01", "--to", "2026-01-02")
        flags = ("export", "--series", "KXSIM", "--format", "parquet", "--directory", to, *window, *self.database)
        self.assertIn(support.ingest(*flags).returncode, (0, 6))
        frame = polars.read_parquet(to / "trades.parquet")
        self.assertEqual((0, COLUMNS), (frame.height, frame.columns))

    def test_a_stream_of_parquet_is_a_file(self):
        streamed = self.folder / "stream.parquet"
        command = [support.INGEST, "export", "--series", "KXSIM", "--format", "parquet", "--directory", "-", "-q"]
        with open(streamed, "wb") as out:
            done = subprocess.run([*map(str, command), *self.database], stdout=out, env=support.clean_environment())
        self.assertIn(done.returncode, (0, 6))
        self.assertEqual(self.rows, polars.read_parquet(streamed).height)
