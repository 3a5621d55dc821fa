"""The status page in a real browser: what it says, how it looks, how fast it is, and who can use it.

With KALSHI_SCREENSHOTS=FOLDER a picture of each sample in each look is written there.
"""

import base64
import datetime
import hashlib
import http.server
import json
import math
import os
import pathlib
import random
import re
import threading
import unittest

import support
import webdriver
from webdriver import DOWN, ENTER, SPACE, TAB

PAGE = support.ROOT / "src/serve/page.html"
NOW = datetime.datetime(2026, 11, 22, 14, 5, tzinfo=datetime.timezone.utc)
SLOT = "/*DATA*/null"
PHONE = {"width": 390, "height": 844, "is_phone": True}
DESKTOP = {"width": 1280, "height": 900}
LOOKS = [(size, scheme) for size in ("phone", "desktop") for scheme in ("light", "dark")]
RENDER_LIMIT_MS = 200
LONG_ERROR = (
    "no usable answer from GET /markets/trades?ticker=KXBTCD-26NOV2214-T99000&limit=1000 after 4 tries: "
    "503 Service Unavailable: upstream connect error or disconnect/reset before headers. reset reason: connection timeout; "
    "the request id was 7f1c0a2e-63d1-4f0e-9a59-2f4b5a1de0c7 and the next try is left to the next pass, which starts within the minute"
)
LONG_TICKER = "KXMVESPORTSMULTIGAMEEXTENDED-S2026A1B2C3D4E5F-0123456789ABCDEF-26NOV22-WITHOUT-A-PLACE-TO-BREAK"
HOSTILE = [
    "<script>window.hacked = 1</script>",
    "</script><img src=x onerror='window.hacked = 2'>",
    "\"quotes\" 'and' `ticks` & &amp; <!-- ",
    "javascript:window.hacked=3 \u2028 \u202e ",
    "W" * 400,
]


def instant(seconds_ago):
    """The text of a moment before NOW."""
    return (NOW - datetime.timedelta(seconds=seconds_ago)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def market(name, state="fresh", staleness=5.1, sla=120.0, **more):
    """One entry of `markets`."""
    row = {
        "market": name,
        "watches": [name.split("-")[0]],
        "state": state,
        "staleness_seconds": staleness,
        "sla_seconds": sla,
        "complete_until": instant(staleness),
        "last_trade_at": instant(staleness + 13),
        "last_success_at": instant(staleness),
        "failures": 0,
        "last_error": None,
        "score": None,
        "retired_at": None,
    }
    return {**row, **more}


def watch(name, status="pass", lag=4.2, **more):
    """One entry of `watches`."""
    row = {
        "watch": name,
        "kind": "series",
        "status": status,
        "sla_seconds": 120.0,
        "lag_seconds": lag,
        "markets": 1,
        "stale": 0,
        "failing": 0,
        "behind": 0,
        "newest_trade_at": instant(18),
        "last_success_at": instant(21),
        "unresolved_since": None,
        "completeness": None,
    }
    return {**row, **more}


def passes(ends, every=60):
    """`runs`, newest first, that ended with the given statuses; an entry may be (status, error)."""
    rows = []
    for index, end in enumerate(ends):
        status, error = end if isinstance(end, tuple) else (end, None)
        is_open = status is None
        row = {
            "run_id": 9000 - index,
            "command": "run",
            "started_at": instant(21 + index * every),
            "duration_seconds": None if is_open else 1.2 + index % 7,
            "exit_code": status,
            "markets": None if is_open else 3,
            "requests": None if is_open else 10 + index % 3,
            "retries": None if is_open else index % 5 // 4,
            "events_ingested": None if is_open else 1411 - 17 * index,
            "events_duplicate": None if is_open else 215,
            "events_rejected": None if is_open else 0,
            "events_conflicting": None if is_open else 0,
            "lag_seconds": None if is_open else 5.0 + index % 4,
            "error": error,
        }
        rows.append(row)
    return rows


def day(gaps=(), peak=0.0):
    """A day of 96 steps that breathes like a real one."""
    dice = random.Random(7)
    trades = [int(900 + 700 * math.sin(step / 15) + dice.random() * 500) for step in range(96)]
    lags = [4 + 2 * math.sin(step / 9) + dice.random() * 3 + (peak if 58 <= step < 61 else 0) for step in range(96)]
    for step in gaps:
        trades[step], lags[step] = 0, None
    return {"from": instant(86400), "step_seconds": 900, "events_ingested": trades, "lag_seconds": lags}


def overview(watches, markets, runs, **more):
    """The whole of /overview.json."""
    totals = {
        "requests": 1_204_331,
        "retries": 412,
        "events_ingested": 48_210_114,
        "events_duplicate": 9_114_008,
        "events_rejected": 2,
        "events_conflicting": 1,
        "late_trades": 31,
    }
    body = {
        "schema_version": 1,
        "as_of": instant(0),
        "version": "0.1.0",
        "watches": watches,
        "markets": markets,
        "retired_total": sum(row["state"] == "retired" for row in markets),
        "runs": runs,
        "day": day(),
        "totals": totals,
    }
    return {**body, **more}


def no_market():
    """A new database."""
    empty = {"from": instant(86400), "step_seconds": 900, "events_ingested": [0] * 96, "lag_seconds": [None] * 96}
    totals = dict.fromkeys(("requests", "retries", "events_ingested", "events_duplicate", "events_rejected", "events_conflicting", "late_trades"), 0)
    return overview([], [], [], day=empty, totals=totals)


def all_well():
    """Three markets, and nothing to do."""
    names = ["KXBTCD-26NOV2214-T99000", "KXHIGHNY-26NOV22-B50", "KXNEXTPOPE-35-TAGLE"]
    markets = [market(name, staleness=5.1 + at, score=[None, 1.0, 0.99996][at]) for at, name in enumerate(names)]
    watches = [watch(name.split("-")[0], lag=5.1 + at) for at, name in enumerate(names)]
    watches[2] = {**watches[2], "watch": names[2], "kind": "market", "sla_seconds": 300.0}
    watches[1]["completeness"] = {"market": names[1], "score": 1.0, "scored_at": instant(36000)}
    return overview(watches, markets, passes([0] * 50))


def three_markets():
    """Three open markets, each in trouble of its own, and a retired one."""
    markets = [
        market("KXBTCD-26NOV2214-T99000", "stale", 724, failures=12, last_error=LONG_ERROR, last_success_at=instant(724)),
        market("KXHIGHNY-26NOV22-B50", "failing", 66, failures=1, last_error="429 Too Many Requests", last_success_at=instant(81)),
        market("KXNEXTPOPE-35-TAGLE", "behind", 31, 300.0, score=0.9412),
        market("KXBTCD-26NOV2213-T98000", "retired", 5400, retired_at=instant(3500), score=1.0),
    ]
    low = {"market": "KXNEXTPOPE-35-TAGLE", "score": 0.9412, "scored_at": instant(36000)}
    watches = [
        watch("KXNEXTPOPE-35-TAGLE", "warn", 31, kind="market", sla_seconds=300.0, behind=1, completeness=low),
        watch("KXBTCD", "fail", 724.0, stale=1, last_success_at=instant(724)),
        watch("KXHIGHNY", "warn", 66, failing=1),
    ]
    refused = (4, "the exchange refused GET /markets/trades?ticker=KXHIGHNY-26NOV22-B50: 403 Forbidden")
    ends = [None, 3, 3, 3, (5, "connection refused (os error 111)"), 0, refused, 143, 0, 0, 6, 1, 2, 130] + [0] * 36
    runs = passes(ends)
    runs[10]["command"] = "backfill"
    return overview(watches, markets, runs, day=day([20, 21, 22, 40, 42], 190.0), retired_total=1234)


def many_markets():
    """3,000 markets of every kind, with one cause that takes many of them down."""
    dice = random.Random(11)
    markets = []
    for index in range(2984):
        name = f"KX{dice.choice(['HIGHNY', 'INXD', 'ETHD', 'RAINSEA'])}-26NOV{22 + index % 8}-B{index:04}"
        markets.append(market(name, staleness=5 + index % 60 / 2, score=dice.choice([None, None, 1.0, 0.9998])))
    for index, row in enumerate(markets[:41]):
        error = f"GET /markets/trades?ticker={row['market']}&limit=1000: 503 Service Unavailable"
        row.update(state="stale", staleness_seconds=400.0 + index, failures=7, last_error=error, complete_until=instant(400 + index))
    for row in markets[41:60]:
        row.update(state="failing", staleness_seconds=70.0, failures=1, last_error="connection reset by peer (os error 104)")
    for row in markets[60:90]:
        row.update(state="behind", staleness_seconds=95.0)
    for row in markets[90:280]:
        row.update(state="retired", retired_at=instant(9000))
    markets += three_markets()["markets"]
    markets.append(market(LONG_TICKER, "stale", 3900, complete_until=None, last_success_at=None, last_trade_at=None))
    markets += [market(f"KXETHD-26NOV2{index}", "fresh") for index in range(11)]
    dice.shuffle(markets)
    shared = {"last_success_at": instant(21)}
    watches = [watch(f"KX{name}", markets=740, **shared) for name in ("INXD", "RAINSEA")]
    watches += [
        watch("KXHIGHNY", "fail", 441.0, markets=751, stale=41, failing=19, behind=30),
        watch("KXBTCD", "fail", 724.0, stale=1),
        watch("KXETHD", "fail", 12.0, markets=700, unresolved_since=instant(1500)),
        watch("KXFEDDECISION", "warn", None, markets=0, unresolved_since=instant(45), newest_trade_at=None),
        watch("*", kind="all", markets=2000, completeness={"market": "KXINXD-26NOV22-B0001", "score": 0.9998, "scored_at": instant(70000)}),
    ]
    return overview(watches, markets, passes([3] * 12 + [0] * 38), day=day([20, 21, 22], 400.0), retired_total=1234)


def hostile():
    """Everything that comes from outside is as bad as it can be."""
    markets = [market(text, "stale", 700 + at, last_error=text, watches=[text], failures=3) for at, text in enumerate(HOSTILE)]
    watches = [watch(text, "fail", 700.0, unresolved_since=instant(700)) for text in HOSTILE]
    low = {"market": HOSTILE[0], "score": 0.5, "scored_at": instant(60)}
    watches[0]["completeness"] = low
    runs = passes([(5, text) for text in HOSTILE])
    for run, text in zip(runs, HOSTILE):
        run["command"] = text
    runs[0]["command"] = "run"
    return overview(watches, markets, runs, version="<b>0.1.0</b>")


SAMPLES = {"0": no_market, "ok": all_well, "3": three_markets, "3000": many_markets}


def security_policy(page):
    """The header that the server sends: only the page's own style and script may act."""

    def digest(kind):
        found = re.findall(rf"<{kind}>(.*?)</{kind}>", page, re.DOTALL)
        if len(found) != 1:
            raise AssertionError(f"one <{kind}> is wanted, {len(found)} found")
        return base64.b64encode(hashlib.sha256(found[0].encode()).digest()).decode()

    return (
        f"default-src 'none'; style-src 'sha256-{digest('style')}'; script-src 'sha256-{digest('script')}'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


class Stub(http.server.ThreadingHTTPServer):
    """Serves the page and its data as `kalshi-ingest serve` does; `data` and `status` may change while it runs."""

    daemon_threads = True

    def __init__(self, data):
        self.data = data
        self.status = 200
        self.asked = 0
        super().__init__(("127.0.0.1", 0), Answer)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        """Where the page is."""
        return f"http://127.0.0.1:{self.server_port}/"


class Answer(http.server.BaseHTTPRequestHandler):
    """One request to the stub."""

    def do_GET(self):  # noqa: N802 (the name is the library's)
        """Answers the page, the data, or 404."""
        stub = self.server
        text = json.dumps(stub.data)
        if self.path == "/":
            page = PAGE.read_text()
            policy = security_policy(page)
            self.answer(200, "text/html; charset=utf-8", page.replace(SLOT, text.replace("<", "\\u003c")), policy)
        elif self.path == "/overview.json":
            stub.asked += 1
            self.answer(stub.status, "application/json", text if stub.status in (200, 503) else "not here")
        elif self.path == "/favicon.ico":
            self.answer(204, "image/x-icon", "")
        else:
            self.answer(404, "text/plain", "not here")

    def answer(self, status, kind, text, policy=None):
        """Sends it."""
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        if policy:
            self.send_header("Content-Security-Policy", policy)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Says nothing."""


class PageCase(unittest.TestCase):
    """A browser for the class, and ways to look at the page in it."""

    @classmethod
    def setUpClass(cls):
        cls.browser = webdriver.Browser.start(cls.addClassCleanup)

    def serve(self, data):
        """The URL under which the page shows `data`."""
        self.stub = Stub(data)
        self.addCleanup(self.stub.server_close)
        self.addCleanup(self.stub.shutdown)
        return self.stub.url

    def show(self, data, size="desktop", scheme="light"):
        """Opens the page with `data` in one of the looks."""
        self.browser.console()
        self.browser.look_like(scheme=scheme, **(PHONE if size == "phone" else DESKTOP))
        self.browser.open(self.serve(data))

    def text(self, css):
        """The text of the first element as it is seen, with plain blanks."""
        return self.browser.run("return document.querySelector(arguments[0]).innerText", css).replace("\u00a0", " ")

    def count(self, css):
        """How many elements there are."""
        return self.browser.run("return document.querySelectorAll(arguments[0]).length", css)

    def refresh(self):
        """Asks for a refresh and waits until its outcome is drawn."""
        self.browser.run("performance.clearMeasures('render')")
        self.browser.click("#refresh")
        self.wait("the refresh", "return performance.getEntriesByName('render').length > 0")

    def wait(self, what, script):
        """Waits until the script returns something true."""
        return support.wait_for(what, lambda: self.browser.run(script), every=0.02)

    def assert_quiet(self):
        """Nothing in the console: no error, no blocked style, nothing not found."""
        self.assertEqual([], [entry["message"] for entry in self.browser.console()])


class Looks(PageCase):
    """Each sample in each look."""

    def test_every_sample_fits_is_quiet_and_legible(self):
        for name, sample in {**SAMPLES, "hostile": hostile}.items():
            for size, scheme in LOOKS:
                with self.subTest(sample=name, size=size, scheme=scheme):
                    self.show(sample(), size, scheme)
                    self.browser.run("for (const part of document.querySelectorAll('details')) part.open = true")
                    self.assert_no_sideways_scrolling()
                    self.assertEqual([], self.browser.run(CONTRAST), "too little contrast")
                    self.assert_quiet()
                    self.photograph(f"{name}-{size}-{scheme}")

    def test_a_small_phone_needs_no_sideways_scrolling(self):
        for sample in (three_markets, many_markets, hostile):
            self.show(sample(), "phone")
            self.browser.look_like(320, 640, is_phone=True)
            self.browser.click(".turn")
            self.assert_no_sideways_scrolling()

    def test_it_prints_and_the_controls_stay_away(self):
        self.show(three_markets())
        dark = [{"name": "prefers-color-scheme", "value": "dark"}]
        self.browser.cdp("Emulation.setEmulatedMedia", media="print", features=dark)
        self.assertEqual([], self.browser.run(CONTRAST), "too little contrast on paper")
        self.assertFalse(self.browser.run("return document.querySelector('#search').checkVisibility()"))
        self.assertTrue(self.browser.run("return document.querySelector('#rows').checkVisibility()"))

    def test_3000_markets_render_in_time(self):
        self.show(many_markets())
        times = []
        for _ in range(5):
            self.browser.open(self.stub.url)
            times.append(self.browser.run("return performance.getEntriesByName('render')[0].duration"))
        self.assertLess(min(times), RENDER_LIMIT_MS)
        self.assertEqual(100, self.count("tr.market"))

    def assert_no_sideways_scrolling(self):
        width, seen = self.browser.run("return [document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        self.assertLessEqual(width, seen)

    def photograph(self, name):
        folder = os.environ.get("KALSHI_SCREENSHOTS")
        if folder:
            pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
            self.browser.run("for (const part of document.querySelectorAll('details')) part.open = false; scrollTo(0, 0)")
            self.browser.screenshot(pathlib.Path(folder) / f"{name}.png")
            self.browser.screenshot(pathlib.Path(folder) / f"{name}-whole.png", whole=True)


class Words(PageCase):
    """What it says."""

    def test_the_verdict_comes_first(self):
        for sample, title, level in [
            (no_market, "nothing selected", "none"),
            (all_well, "all fresh", "good"),
            (three_markets, "1 stale, 1 failing", "bad"),
            (many_markets, "43 stale, 2 unresolved, 20 failing", "bad"),
        ]:
            with self.subTest(title):
                self.show(sample())
                self.assertEqual(f"{title} · kalshi-ingest", self.browser.run("return document.title"))
                self.assertEqual(f"verdict {level}", self.browser.run("return document.querySelector('#verdict').className"))
                self.assertLess(self.browser.run("return document.querySelector('h1').getBoundingClientRect().bottom"), 400)

    def test_the_worst_market_is_named_with_its_staleness_and_its_error(self):
        self.show(three_markets(), "phone")
        worst = self.text(".problems li")
        for part in ("stale", "KXBTCD-26NOV2214-T99000", "12m 4s", "SLA 2m", "503 Service Unavailable", "12 times in a row"):
            self.assertIn(part, worst)
        states = self.browser.run("return [...document.querySelectorAll('.problems .state')].map(each => each.innerText)")
        self.assertEqual(["stale", "failing", "incomplete"], states)

    def test_one_cause_is_one_entry_and_leads_to_its_markets(self):
        self.show(many_markets())
        self.browser.click(".problems [data-do=state]")
        self.assertEqual("stale", self.browser.run("return document.querySelector('#states input:checked').value"))
        self.assertEqual(43, self.count("tr.market"))

    def test_an_empty_database_says_how_to_begin(self):
        self.show(no_market())
        self.assertIn("kalshi-ingest run --series TICKER", self.text("#page"))
        self.assertFalse(self.browser.run("return document.querySelector('#list').checkVisibility()"))

    def test_a_watch_without_markets_says_so(self):
        self.show(overview([watch("KXFEDDECISION", lag=None, markets=0, newest_trade_at=None)], [], passes([0])))
        self.assertIn("no open market", self.text("h1").lower())
        self.assertIn("kalshi-ingest run --series TICKER", self.text("#problems"))

    def test_a_database_that_cannot_be_read_is_told_and_keeps_what_was_known(self):
        dead = {"schema_version": 1, "as_of": instant(0), "version": "0.1.0", "error": "connection refused (os error 111)"}
        self.show(dead)
        self.assertIn("The database cannot be read", self.text("h1"))
        self.assertIn("connection refused (os error 111)", self.text("#summary"))
        self.stub.data = three_markets()
        self.refresh()
        self.assertIn("1 stale", self.text("h1"))
        self.stub.data, self.stub.status = dead, 503
        self.refresh()
        self.assertIn("The database cannot be read", self.text("h1"))
        self.assertIn("connection refused", self.text("#summary"))
        self.assertEqual(4, self.count("tr.market"))

    def test_passes_end_in_words(self):
        self.show(three_markets())
        self.browser.click("[data-do=whole][data-of=passes]")
        text = self.text("#passes table")
        words = ["at work or killed", "stale (exit 3)", "database (exit 5)", "exchange (exit 4)", "stopped (exit 143)",
                 "stopped (exit 130)", "incomplete (exit 6)", "bug (exit 1)", "usage (exit 2)"]
        for word in words:
            self.assertIn(word, text)
        self.assertEqual(50, self.count("#passes tbody tr"))

    def test_a_scheduler_that_is_off_is_the_first_guess(self):
        runs = passes([0, 0])
        for run in runs:
            run["started_at"] = instant(1300)
        self.show(overview([watch("KXBTCD", "fail", 1300.0, stale=1)], [market("KXBTCD-1", "stale", 1300)], runs))
        self.assertIn("No pass is being started", self.text(".problems li"))
        self.assertIn("21m 40s", self.text(".problems li"))

    def test_a_failed_last_pass_shows_although_all_is_fresh(self):
        self.show(overview([watch("KXBTCD")], [market("KXBTCD-1")], passes([None, (2, "unknown series KXNOPE"), 0])))
        self.assertEqual("Last pass failed", self.text("h1"))
        self.assertIn("unknown series KXNOPE", self.text(".problems"))

    def test_a_score_reads_100_percent_only_when_nothing_is_missing(self):
        self.show(all_well())
        scores = self.browser.run("return [...document.querySelectorAll('tr.market td:last-child')].map(cell => cell.innerText)")
        self.assertEqual({"–", "100 %", "99.99 %"}, set(scores))

    def test_hostile_text_stays_text(self):
        self.show(hostile())
        self.assertIsNone(self.browser.run("return window.hacked ?? null"))
        self.assertEqual(0, self.count("img"))
        seen = self.browser.run("return [...document.querySelectorAll('tr.market .ticker')].map(cell => cell.textContent)")
        self.assertEqual(sorted(HOSTILE), sorted(seen))
        self.assert_quiet()

    def test_without_javascript_it_says_where_else_to_look(self):
        self.browser.cdp("Emulation.setScriptExecutionDisabled", value=True)
        self.addCleanup(self.browser.cdp, "Emulation.setScriptExecutionDisabled", value=False)
        self.show(three_markets())
        self.assertIn("kalshi-ingest status", self.tree_text())
        self.assertIn("/health", self.tree_text())

    def tree_text(self):
        nodes = self.browser.cdp("Accessibility.getFullAXTree")["nodes"]
        return " ".join(str(node.get("name", {}).get("value", "")) for node in nodes if not node.get("ignored"))


class Lists(PageCase):
    """Search, filter, sort, and what survives a refresh."""

    def names(self):
        return self.browser.run("return [...document.querySelectorAll('tr.market .ticker')].map(cell => cell.textContent)")

    def test_search_runs_over_all(self):
        self.show(many_markets())
        self.browser.type("#search", "kxbtcd t99000")
        self.assertEqual(["KXBTCD-26NOV2214-T99000"], self.names())
        self.assertEqual("1 of 3,000", self.text("#found"))
        self.browser.type("#search", " nowhere")
        self.assertIn("No market is like that.", self.text("#rest"))
        self.browser.click("[data-do=clear]")
        self.assertEqual(100, self.count("tr.market"))

    def test_search_finds_errors_too(self):
        self.show(many_markets())
        self.browser.type("#search", "503 service")
        self.assertEqual("42 of 3,000", self.text("#found"))

    def test_states_filter_and_carry_counts(self):
        self.show(many_markets())
        self.browser.click("#state-stale input")
        self.assertEqual(43, len(self.names()))
        self.assertEqual("stale 43", " ".join(self.text("#state-stale").split()))
        self.browser.click("#state-retired input")
        self.assertIn("1,234", self.text("#rest"))

    def test_the_worst_are_first_and_all_can_be_shown(self):
        self.show(many_markets())
        self.assertEqual(LONG_TICKER, self.names()[0])
        self.browser.click("#rest [data-of='3000']")
        self.assertEqual(3000, len(self.names()))

    def test_columns_sort_both_ways_and_say_so(self):
        self.show(many_markets())
        self.browser.click("#head-market button")
        first = self.names()
        self.assertEqual(sorted(first), first)
        self.assertEqual("ascending", self.browser.run("return document.querySelector('#head-market').ariaSort"))
        self.browser.click("#head-market button")
        self.assertEqual("descending", self.browser.run("return document.querySelector('#head-market').ariaSort"))
        self.assertGreater(self.names()[0], first[-1])
        self.assertEqual(1, self.count("th[aria-sort]"))

    def test_a_refresh_keeps_search_focus_scroll_and_open_rows(self):
        self.show(many_markets())
        self.browser.type("#search", "KXBTCD")
        self.browser.click(".turn")
        self.browser.run("document.querySelector('#search').focus(); scrollTo(0, 700)")
        before = self.browser.run("return [scrollY, document.querySelector('#search').value]")
        self.stub.data = {**many_markets(), "as_of": instant(-30)}
        self.browser.run("document.querySelector('#refresh').dispatchEvent(new Event('click'))")
        self.wait("the new data", "return document.querySelector('#asof').textContent.includes('14:05:30')")
        self.assertEqual(before, self.browser.run("return [scrollY, document.querySelector('#search').value]"))
        self.assertEqual("search", self.browser.run("return document.activeElement.id"))
        self.assertEqual(2, self.count("tr.market"))
        self.assertEqual(1, self.count("tr.detail"))

    def test_a_refresh_keeps_what_is_marked_for_copying(self):
        self.show(three_markets())
        self.browser.run("document.activeElement.blur(); getSelection().selectAllChildren(document.querySelector('.problems .why'))")
        self.stub.data = {**three_markets(), "as_of": instant(-30)}
        self.browser.run("document.querySelector('#refresh').dispatchEvent(new Event('click'))")
        self.wait("the new data", "return document.querySelector('#asof').textContent.includes('14:05:30')")
        self.assertEqual(LONG_ERROR, self.browser.run("return getSelection().toString()"))

    def test_a_row_that_moves_keeps_the_focus(self):
        data = three_markets()
        self.show(data)
        self.browser.run("document.querySelectorAll('.turn')[1].focus()")
        focused = "return document.activeElement.dataset.of"
        self.assertEqual("KXHIGHNY-26NOV22-B50", self.browser.run(focused))
        data["markets"][1].update(state="stale", staleness_seconds=9000)
        self.browser.run("document.querySelector('#refresh').dispatchEvent(new Event('click'))")
        self.wait("the new order", "return document.querySelector('.turn').dataset.of === 'KXHIGHNY-26NOV22-B50'")
        self.assertEqual("KXHIGHNY-26NOV22-B50", self.browser.run(focused))


class Refreshing(PageCase):
    """The clockwork. Thirty seconds pass in a tenth of one here."""

    def setUp(self):
        hurry = "const wait = setTimeout; window.setTimeout = (work, time) => wait(work, Math.min(time, 100))"
        self.addCleanup(self.browser.before_load(hurry))

    def test_it_refreshes_by_itself(self):
        self.show(all_well())
        self.stub.data = three_markets()
        self.wait("the new data", "return document.title.startsWith('1 stale')")

    def test_a_failing_refresh_is_told_and_the_next_good_one_clears_it(self):
        self.show(all_well())
        self.stub.status = 502
        self.wait("the notice", "return document.querySelector('#trouble').innerText.includes('Not refreshed since 14:05:00 UTC')")
        self.assertIn("502", self.text("#trouble"))
        self.assertEqual("polite", self.browser.run("return document.querySelector('#trouble').ariaLive"))
        self.assertTrue(self.browser.run("return document.title").startswith("not refreshed"))
        self.assertEqual("verdict warn", self.browser.run("return document.querySelector('#verdict').className"))
        self.assertEqual("All fresh at 14:05:00", self.text("h1"))
        self.assertEqual(3, self.count("tr.market"))
        self.stub.status = 200
        self.wait("the notice to go", "return document.querySelector('#trouble').innerText === ''")
        self.assertEqual("all fresh · kalshi-ingest", self.browser.run("return document.title"))

    def test_a_server_that_is_gone_is_told(self):
        self.show(all_well())
        self.stub.shutdown()
        self.stub.socket.close()
        self.wait("the notice", "return document.querySelector('#trouble').innerText.includes('the server is not reached')")
        self.assertEqual(3, self.count("tr.market"))

    def test_data_of_another_version_asks_for_a_reload(self):
        self.show(all_well())
        self.stub.data = {**all_well(), "schema_version": 2}
        self.wait("the notice", "return document.querySelector('#trouble').innerText.includes('reload this page')")

    def test_data_that_cannot_be_drawn_is_told_in_words(self):
        self.show(all_well())
        self.stub.data = {**all_well(), "markets": [{}], "day": None}
        self.wait("the notice", "return document.querySelector('#trouble').innerText.includes('cannot show the data')")

    def test_nothing_is_asked_for_while_nobody_looks(self):
        self.show(all_well())
        self.browser.run(
            "Object.defineProperty(document, 'hidden', {get: () => window.away, configurable: true});"
            "window.away = true; document.dispatchEvent(new Event('visibilitychange'))"
        )
        # What was under way may still arrive; then it is silent for as long as ten refreshes would take.
        asked = []

        def is_silent():
            asked.append(self.stub.asked)
            return len(asked) > 10 and len(set(asked[-11:])) == 1

        support.wait_for("silence", is_silent)
        self.browser.run("window.away = false; document.dispatchEvent(new Event('visibilitychange'))")
        support.wait_for("another refresh", lambda: self.stub.asked > asked[-1])


class Access(PageCase):
    """Keyboard and assistive technology."""

    def tree(self, role):
        """The names of all that assistive technology finds in a role."""
        nodes = self.browser.cdp("Accessibility.getFullAXTree")["nodes"]
        return [n.get("name", {}).get("value", "") for n in nodes if not n.get("ignored") and n.get("role", {}).get("value") == role]

    def test_everything_has_a_name(self):
        for sample in (three_markets, many_markets):
            self.show(sample())
            for role in ("button", "table", "searchbox", "radio", "link", "image", "region", "navigation"):
                names = self.tree(role)
                self.assertTrue(names, role)
                self.assertEqual([], [name for name in names if not name.strip()], role)
            self.assertIn("Markets, with how stale each is and why", self.tree("table"))
            for landmark in ("banner", "main", "contentinfo", "search"):
                self.assertEqual(1, len(self.tree(landmark)), landmark)
            charts = [name for name in self.tree("image") if "highest" in name]
            self.assertEqual(2, len(charts))
            self.assertIn("gap", charts[1])

    def test_headings_go_down_in_order(self):
        self.show(three_markets())
        levels = self.browser.run("return [...document.querySelectorAll('h1,h2,h3')].filter(e => e.checkVisibility()).map(e => e.tagName)")
        self.assertEqual("H1", levels[0])
        self.assertEqual({"H2"}, set(levels[1:]))

    def test_the_keyboard_reaches_everything_and_the_focus_is_seen(self):
        self.show(three_markets())
        wanted = self.browser.run(
            "return document.querySelectorAll('a[href], button, input, summary, [tabindex=\"0\"]').length"
            " - document.querySelectorAll('input[type=radio]').length + 1"
        )
        seen = []
        for _ in range(wanted + 40):
            self.browser.press(TAB)
            where = self.browser.run(FOCUS)
            if where is None or (seen and where["mark"] == seen[0]["mark"]):
                break
            seen.append(where)
        self.assertEqual([], [where for where in seen if not where["isSeen"]])
        marks = [where["mark"] for where in seen]
        self.assertIn("Skip to the verdict", marks[0])
        for part in ("#search", "#refresh", "market", "staleness", "KXBTCD-26NOV2214-T99000"):
            self.assertIn(part, marks)
        self.assertLess(marks.index("#search"), marks.index("market"))

    def test_keys_filter_sort_and_open(self):
        self.show(many_markets())
        self.browser.run("document.querySelector('#states input:checked').focus()")
        self.browser.press(DOWN)
        self.assertEqual(43, self.count("tr.market"))
        self.browser.run("document.querySelector('#head-market button').focus()")
        self.browser.press(ENTER)
        self.assertEqual("ascending", self.browser.run("return document.querySelector('#head-market').ariaSort"))
        self.browser.run("document.querySelector('.turn').focus()")
        self.browser.press(SPACE)
        self.assertEqual(1, self.count("tr.detail"))
        self.assertEqual("true", self.browser.run("return document.activeElement.ariaExpanded"))

    def test_targets_are_large_enough_for_a_finger(self):
        self.show(three_markets(), "phone")
        small = self.browser.run(
            "return [...document.querySelectorAll('button, input, nav a')].filter(e => e.checkVisibility())"
            ".filter(e => e.getBoundingClientRect().height < 24).map(e => e.outerHTML)"
        )
        self.assertEqual([], small)

    def test_instants_are_machine_readable_and_have_a_title(self):
        self.show(three_markets())
        wrong = self.browser.run(
            "return [...document.querySelectorAll('time')].filter(e => isNaN(Date.parse(e.dateTime)) || !e.title.endsWith(' UTC')).length"
        )
        self.assertEqual(0, wrong)
        self.assertGreater(self.count("time"), 20)


# Which element has the focus, and whether its outline is to be seen: its own or, for the radio buttons, that of its label.
FOCUS = """
const focused = document.activeElement;
if (!focused || focused === document.body) return null;
const shown = focused.matches('.pill input') ? focused.nextElementSibling : focused;
const style = getComputedStyle(shown), box = shown.getBoundingClientRect();
return {
  mark: focused.id ? '#' + focused.id : focused.dataset.of || focused.textContent.trim() || focused.value || focused.className,
  isSeen: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2 && box.width > 0 && box.bottom > 0 && box.top < innerHeight,
};
"""

# Every text that is seen and has less contrast with what lies behind it than WCAG 2.2 asks for (1.4.3: 4.5, large text 3), and every
# icon and border of a control under 3 (1.4.11). The formulas are WCAG's own: https://www.w3.org/TR/WCAG22/#dfn-relative-luminance
CONTRAST = """
const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
const parse = text => {
  const parts = text.match(/rgba?\\(([^)]+)\\)/);
  if (!parts) throw new Error('a colour of another kind: ' + text);
  const [r, g, b, a = 1] = parts[1].split(/[ ,/]+/).map(Number);
  return [r, g, b, a];
};
const channel = value => (value /= 255) <= .04045 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4;
const luminance = ([r, g, b]) => .2126 * channel(r) + .7152 * channel(g) + .0722 * channel(b);
const over = (top, under) => top.slice(0, 3).map((value, at) => value * top[3] + under[at] * (1 - top[3]));
const ground = element => {
  for (; element; element = element.parentElement) {
    const colour = parse(getComputedStyle(element).backgroundColor);
    if (colour[3] === 1) return colour;
    if (colour[3] > 0) throw new Error('a ground that lets through');
  }
  throw new Error('no ground');
};
const ratio = (one, other) => {
  const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (high + .05) / (low + .05);
};
const found = new Map();
const check = (element, colour, least, what) => {
  const behind = ground(element), seen = ratio(over(parse(colour), behind), behind);
  window.lowest = Math.min(window.lowest ?? 99, least > 4 ? seen : 99);
  if (seen < least) found.set(`${what} ${element.className.baseVal ?? element.className} ${seen.toFixed(2)} < ${least}`, 1);
};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest('.unseen, script, noscript')) continue;
  const style = getComputedStyle(element), size = parseFloat(style.fontSize);
  const isLarge = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
  check(element, style.color, isLarge ? 3 : 4.5, walker.currentNode.data.trim().slice(0, 30));
}
for (const icon of document.querySelectorAll('svg.icon')) if (icon.checkVisibility()) check(icon, getComputedStyle(icon).color, 3, 'icon');
for (const control of document.querySelectorAll('.push, input[type=search]')) {
  check(control.parentElement, getComputedStyle(control).borderTopColor, 3, 'border');
}
for (const drawn of document.querySelectorAll('.bars, .gauge rect:not(.track), .strip rect')) {
  check(drawn.closest('div, td, section'), getComputedStyle(drawn).fill, 3, 'drawing');
}
for (const drawn of document.querySelectorAll('.plot .line, .sla')) {
  check(drawn.closest('div'), getComputedStyle(drawn).stroke, 3, 'drawing');
}
return [...found.keys()];
"""


if __name__ == "__main__":
    unittest.main()
