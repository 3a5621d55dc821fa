#!/usr/bin/env python3
"""Makes docs/images/page.png again: passes over a simulated exchange, `serve`, and a browser that looks at its page.

Needs `cargo build --workspace --bins`, and the Debian packages chromium and chromium-driver.
"""

import contextlib
import datetime
import pathlib
import random
import shutil
import sqlite3
import tempfile
import time

import support
import webdriver

PICTURE = support.ROOT / "docs/images/page.png"
SIZE = {"width": 1200, "height": 900}
# More would not be shown beside the text of the README.
BYTES_MAX = 150_000
PASSES = 97
STEP = datetime.timedelta(minutes=15)
MARKETS = ("KXBTCD-26NOV2717-T99000", "KXHIGHNY-26NOV27-B50", "KXNEXTPOPE-35-TAGLE")


class Cleanups(contextlib.ExitStack):
    """What the helpers of the tests expect of a test."""

    def addCleanup(self, function, *arguments, **options):
        self.callback(function, *arguments, **options)


def read(base_url, database):
    """Passes while trades are made, some of them far apart."""
    dice = random.Random(3)
    exchange = ("--base-url", base_url, "--database-url", database, "--requests-per-second", "200")
    selection = ("--series", "KXBTCD,KXHIGHNY", "--market", MARKETS[2])
    for _ in range(PASSES):
        support.ingest("run", *selection, *exchange, "--settle", "0s", check=0)
        time.sleep(dice.uniform(0.1, 0.9))


def spread(path):
    """Moves the start of each pass but the last few back, so that a minute of passes fills a day of the chart."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        runs = connection.execute("select run_id, started_at, finished_at from ingestion_runs order by run_id desc").fetchall()
        for at, (run, *times) in enumerate(runs):
            moved = [moved_back(text, at) for text in times]
            connection.execute("update ingestion_runs set started_at = ?, finished_at = ? where run_id = ?", (*moved, run))


def moved_back(text, steps):
    """The instant so many steps before."""
    moved = datetime.datetime.fromisoformat(text) - steps * STEP
    return moved.isoformat(timespec="microseconds").replace("+00:00", "Z")


def main():
    with Cleanups() as cleanups:
        folder = pathlib.Path(tempfile.mkdtemp(prefix="screenshot-"))
        cleanups.addCleanup(shutil.rmtree, folder)
        names = [word for market in MARKETS for word in ("--ticker", market)]
        base_url, _ = support.simulator(cleanups, *names, "--trades", "40", "--span", "10m", "--live", "60")
        database = f"sqlite:{folder / 'kalshi.db'}"
        read(base_url, database)
        spread(folder / "kalshi.db")
        port = support.free_port()
        serve = [support.INGEST, "serve", "--listen", f"127.0.0.1:{port}", "--database-url", database]
        support.start(cleanups, serve, env=support.clean_environment())
        support.wait_for("serve", lambda: support.get(f"http://127.0.0.1:{port}/health")[0] == 200)
        browser = webdriver.Browser.start(cleanups.addCleanup)
        browser.look_like(**SIZE)
        browser.open(f"http://127.0.0.1:{port}/")
        PICTURE.parent.mkdir(exist_ok=True)
        browser.screenshot(PICTURE)
    size = PICTURE.stat().st_size
    if size > BYTES_MAX:
        raise SystemExit(f"{PICTURE} has {size} bytes, more than {BYTES_MAX}: make the window smaller")
    print(f"{PICTURE}: {size} bytes")


if __name__ == "__main__":
    main()
