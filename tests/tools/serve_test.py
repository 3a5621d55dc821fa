"""The page of the real `kalshi-ingest serve`, after real passes, in a real browser."""

import json
import pathlib
import tempfile
import unittest

import support
import webdriver
from page_test import RENDER_LIMIT_MS


class Serve(unittest.TestCase):
    """Passes over a simulated exchange, and what the browser makes of the server's answers."""

    @classmethod
    def setUpClass(cls):
        cls.browser = webdriver.Browser.start(cls.addClassCleanup)

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.database = f"sqlite:{pathlib.Path(folder.name) / 'kalshi.db'}"

    def serve(self):
        """A server on this test's database; its URL."""
        address = f"127.0.0.1:{support.free_port()}"
        command = [support.INGEST, "serve", "-q", "--listen", address, "--database-url", self.database]
        support.start(self, command, env=support.clean_environment())
        support.wait_for("the server", lambda: support.get(f"http://{address}/livez")[0] == 200)
        return f"http://{address}"

    def passes(self, *flags, markets):
        """One pass over so many markets."""
        base_url, process = support.simulator(self, "--markets", markets, "--trades", "2")
        every = ["--series", "KXSIM", "--base-url", base_url, "--database-url", self.database]
        support.ingest("run", "-q", "--requests-per-second", "1000", *every, *flags, check=0)
        return base_url, process

    def show(self, url):
        """Opens the page and answers with what stands in it."""
        self.browser.console()
        self.browser.look_like(width=1280, height=900, scheme="light")
        self.browser.open(url)
        return self.browser.run("return document.body.innerText").replace("\u00a0", " ")

    def assert_quiet(self):
        self.assertEqual([], [entry["message"] for entry in self.browser.console()])

    def test_without_its_database_it_says_so(self):
        text = self.show(self.serve())
        self.assertIn("database cannot be read", text)
        self.assert_quiet()

    def test_an_empty_database_says_how_to_begin(self):
        support.ingest("migrate", "-q", "--database-url", self.database, check=0)
        text = self.show(self.serve())
        self.assertIn("kalshi-ingest run --series", text)
        self.assert_quiet()

    def test_what_a_pass_stored_is_shown(self):
        self.passes(markets=3)
        url = self.serve()
        text = self.show(f"{url}/")
        for part in ("KXSIM-M1", "KXSIM-M3", "fresh"):
            self.assertIn(part, text)
        overview = json.loads(support.get(f"{url}/overview.json")[2])
        self.assertEqual(3, len(overview["markets"]))
        # The reload is asked of the server itself, under its own policy.
        self.browser.run("performance.clearMeasures('render')")
        self.browser.click("#refresh")
        drawn = "return performance.getEntriesByName('render').length > 0"
        support.wait_for("the refresh", lambda: self.browser.run(drawn))
        self.assertNotIn("Not refreshed", self.browser.run("return document.body.innerText"))
        self.assert_quiet()

    def test_a_stale_market_is_the_first_thing_seen(self):
        base_url, process = self.passes("--sla", "2s", "--settle", "1s", markets=3)
        process.kill()
        url = self.serve()
        stale = support.wait_for("the breach", lambda: support.get(f"{url}/health")[0] == 503)
        self.assertTrue(stale)
        text = self.show(f"{url}/")
        self.assertIn("3 stale", text[:200])
        self.assert_quiet()

    def test_3000_markets_of_a_real_database_render_in_time(self):
        self.passes(markets=3000)
        url = self.serve()
        times = []
        for _ in range(5):
            text = self.show(f"{url}/")
            self.assertIn("3,000", text)
            times.append(self.browser.run("return performance.getEntriesByName('render')[0].duration"))
        self.assertLess(min(times), RENDER_LIMIT_MS, times)
        self.assert_quiet()


if __name__ == "__main__":
    unittest.main()
