"""DuckDB reads the SQLite file: each documented query answers there as it does in SQLite itself."""

import pathlib
import sqlite3
import tempfile
import unittest

import duckdb
import duckdb_extension_sqlite_scanner
import support

QUERIES = sorted((support.ROOT / "examples/queries").glob("*.sql"))
SERIES = "KXHIGHNY"
# The names in the queries, by those of the simulated exchange.
EVENT, MARKET = "KXHIGHNY-26NOV22", "KXHIGHNY-26NOV22-B50"
TYPES = {
    "trades": {"yes_price": "DOUBLE", "quantity": "DOUBLE", "notional_usd": "DOUBLE", "traded_us": "BIGINT"},
    "markets": {"settlement": "DOUBLE", "volume": "DOUBLE", "trades": "BIGINT"},
    "orderbooks": {"spread": "DOUBLE", "yes_depth": "DOUBLE", "slippage_buy_100": "DOUBLE"},
    "market_last_trade": {"yes_price": "DOUBLE", "quantity": "DOUBLE"},
    "candles_1m": {"open": "DOUBLE", "vwap": "DOUBLE", "trades": "BIGINT", "hour": "VARCHAR"},
    "candles_1h": {"close": "DOUBLE", "volume": "DOUBLE", "trades": "BIGINT"},
}


def fill(path):
    """Puts some markets, trades and order books into an empty database."""
    with sqlite3.connect(path) as database:
        trades, markets, books = [], [], []
        for number, label in enumerate(("B50", "B52", "B54")):
            ticker = f"{EVENT}-{label}"
            result = ("yes", "no", None)[number]
            at = "2026-11-23T07:00:00.000000Z"
            markets.append((ticker, EVENT, SERIES, f"{label} or so", result, "2026-11-23T05:00:00.000000Z", at, at, at, at))
            for trade in range(400):
                hour, minute, second = trade // 20, trade * 7 % 60, trade * 13 % 60
                day = 20 + (trade + number) % 3
                traded_at = f"2026-11-{day}T{hour:02}:{minute:02}:{second:02}.{trade * 2477 % 1000000:06}Z"
                side, price = ("yes", "no")[trade % 2], trade * 7919 % 1000001
                is_block = (None, 0, 1)[trade % 3]
                trades.append((f"{number}-{trade}", ticker, side, price, 1 + trade * 31, traded_at, is_block, traded_at))
            for snapshot in range(5):
                captured_at = f"2026-11-22T10:0{snapshot}:00.000000Z"
                books.append((ticker, captured_at, 400000, 410000 + snapshot, 10000 + snapshot, 5000, 7000, None))
        database.executemany(
            "insert into prediction_market_trades (source, trade_id, market_ticker, side, price_e4, quantity_e2,"
            " traded_at, is_block_trade, run_id, ingested_at) values ('kalshi', ?, ?, ?, ?, ?, ?, ?, 1, ?)", trades)
        database.executemany(
            "insert into prediction_markets (source, market_ticker, event_ticker, series_ticker, yes_label, status,"
            " result, close_time, payload, first_seen_at, updated_at, observed_at, checked_at)"
            " values ('kalshi', ?, ?, ?, ?, 'active', ?, ?, '{}', ?, ?, ?, ?)", markets)
        database.executemany(
            "insert into orderbook_snapshots (source, market_ticker, captured_at, best_yes_bid_e4, best_yes_ask_e4,"
            " spread_e4, yes_depth_e2, no_depth_e2, slippage_buy_100_e9, levels)"
            " values ('kalshi', ?, ?, ?, ?, ?, ?, ?, ?, '{}')", books)
    database.close()


def alike(rows):
    """Rows in a form that two engines share: sums of floats differ in their last digits."""
    return [tuple(f"{cell:.6f}" if isinstance(cell, float) else cell for cell in row) for row in rows]


class Queries(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.path = pathlib.Path(cls.folder.name) / "kalshi.db"
        database_url = f"sqlite:{cls.path}"
        support.ingest("migrate", "--database-url", database_url, check=0)
        fill(cls.path)
        support.ingest("migrate", "--recount", "--database-url", database_url, check=0)
        found = pathlib.Path(duckdb_extension_sqlite_scanner.__file__).parent.rglob("*.duckdb_extension")
        cls.duck = duckdb.connect()
        cls.duck.load_extension(str(next(found)))
        cls.duck.execute(f"attach '{cls.path}' as kalshi (type sqlite, read_only); use kalshi")
        cls.addClassCleanup(cls.duck.close)

    def test_there_are_ten(self):
        self.assertEqual(10, len(QUERIES))

    def test_each_query_answers_as_in_sqlite(self):
        with sqlite3.connect(self.path) as database:
            for path in QUERIES:
                with self.subTest(path.stem):
                    asked = path.read_text()
                    expected = database.execute(asked).fetchall()
                    self.assertTrue(expected, "it finds something")
                    self.assertEqual(alike(expected), alike(self.duck.execute(asked).fetchall()))
        database.close()

    def test_numbers_are_numbers(self):
        for view, columns in TYPES.items():
            described = {row[0]: row[1] for row in self.duck.execute(f"describe {view}").fetchall()}
            for column, kind in columns.items():
                with self.subTest(view, column=column):
                    self.assertEqual(kind, described[column])
