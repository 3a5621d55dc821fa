"""The watch over what the exchange publishes, and the one issue that it keeps, on specifications of our own."""

import contextlib
import http.server
import json
import os
import re
import subprocess
import tempfile
import threading
import unittest

import yaml

import support

WATCH = support.ROOT / ".ci/specification-watch"
ISSUE = support.ROOT / ".ci/specification-issue"
WORKFLOW = support.ROOT / ".github/workflows/specification.yml"
SPECIFICATIONS = support.ROOT / "tests/tools/specifications"
AGREES = SPECIFICATIONS / "agrees.yaml"
CHANGED = SPECIFICATIONS / "changed.yaml"
CHANGELOG = SPECIFICATIONS / "changelog.md"

# Of changed.yaml, in the order in which the contract has them.
DIFFERENCES = """\
- the server `https://external-api.kalshi.com/trade-api/v2` is no longer listed (in `servers`)
- this path is deprecated (in `/exchange/status`)
- this path has to be asked with a key now (in `/historical/cutoff`)
- the field `trades_created_ts` of `cutoff` had the format date-time and has date now (in `/historical/cutoff`)
- the parameter `limit` had the maximum 1000 and has 500 now (in `/markets/trades`, `/historical/trades`, \
`/markets`, `/historical/markets`)
- the parameter `max_ts` was of the type integer and is of the type string now (in `/markets/trades`, \
`/historical/trades`)
- the field `count_fp` of `trade` is gone (in `/markets/trades`)
- the field `taker_book_side` of `trade` does not list its values any more (in `/markets/trades`)
- the field `is_block_trade` of `trade` is deprecated (in `/markets/trades`)
- the field `count` of `trade`, which was not specified, is specified now (in `/markets/trades`)
- the parameter `status` has the new values `"over"` (in `/markets`)
- the parameter `status` has lost the values `"closed"` (in `/markets`)
- the parameter `min_updated_ts` is deprecated (in `/markets`)
- the parameter `min_settled_ts` is gone (in `/markets`)
- the field `open_time` of `market` may be null now (in `/markets`)
- the field `volume_fp` of `market` may be absent now (in `/markets`)
- the field `price_level_structure` of `market` was of the type string and is of the type object now (in `/markets`)
- the field `result` of `market` has lost the values `"scalar"` (in `/markets`)
- the field `status` of `market` has the new values `"halted"` (in `/markets`)
- the parameter `event_ticker` has to be sent now (in `/historical/markets`)
- the query parameter `venue` has to be sent now (in `/events`, `/events/multivariate`)
- the header parameter `x-client` has to be sent now (in `/events`, `/events/multivariate`)
- this path is gone (in `/series/{series_ticker}`)
- the parameter `tickers` had the maxItems 100 and has 50 now (in `/markets/orderbooks`)
- the parameter `tickers` is written as a list in another way (in `/markets/orderbooks`)
- the field `yes_dollars` of `book_sides` holds something else than arrays now (in `/markets/orderbooks`)
- the field `no_dollars` of `book_sides` holds something else than arrays now (in `/markets/orderbooks`)
- the parameter `period_interval` takes only `1`, `1440` now (in `/markets/candlesticks`)
- the answer with the status 200 is no longer described as JSON (in `/historical/markets/{ticker}/candlesticks`)"""

# Entries of which one is newer than all that was acknowledged, in the order of no calendar.
NEW_ENTRY = """
<Update
  label="January 7, 2099"
  tags={["REST"]}
  rss={{
title: "A field that `@somebody` <b>wants</b>",
description: "It comes."
}}
>
  It comes on January 8, 2099.
</Update>
"""


def watch(*arguments):
    """Exit status, output and errors."""
    done = subprocess.run([str(WATCH), *map(str, arguments)], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


class Answers(http.server.BaseHTTPRequestHandler):
    """Each path is one way in which a server can fail."""

    def do_GET(self):
        path = self.path
        if path in self.server.bodies:
            return self.whole(200, self.server.bodies[path])
        if path == "/500":
            return self.whole(500, AGREES.read_bytes())
        if path == "/moved":
            return self.moved("/agrees")
        if path.startswith("/loop"):
            return self.moved("/loop2" if path == "/loop1" else "/loop1")
        if path == "/elsewhere":
            return self.moved("file:///etc/hostname")
        body = AGREES.read_bytes()
        self.send_response(200)
        if path == "/cut":
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2])
        elif path == "/cut-chunks":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(body), body))

    def whole(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def moved(self, where):
        self.send_response(302)
        self.send_header("Location", where)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Served(http.server.ThreadingHTTPServer):
    """A server on loopback with these bodies."""

    bodies = {}


@contextlib.contextmanager
def served(bodies):
    with Served(("127.0.0.1", 0), Answers) as server:
        server.bodies = bodies
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


class SpecificationTest(unittest.TestCase):
    def compared(self, specification):
        return watch("--only", "specification", "--specification", specification)

    def of(self, change):
        """What is said of agrees.yaml with a change."""
        root = yaml.safe_load(AGREES.read_text())
        change(root)
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump(root, file, sort_keys=False)
            file.flush()
            return self.compared(file.name)

    def test_one_that_agrees_is_nothing(self):
        self.assertEqual(self.compared(AGREES), (0, "", ""))
        self.assertEqual(self.of(lambda root: None), (0, "", ""), "however it is written")

    def test_each_kind_of_change_is_one_line(self):
        status, said, errors = self.compared(CHANGED)
        self.assertEqual((status, errors), (1, ""))
        lines = [line for line in said.splitlines() if line.startswith("- ")]
        self.assertEqual(lines, DIFFERENCES.splitlines())
        self.assertIn("Version 2.0.0 is published; version 3.34.0 was compared last.", said)

    def test_what_does_not_concern_us_is_nothing(self):
        def change(root):
            schemas = root["components"]["schemas"]
            schemas["Trade"]["properties"]["new_and_optional"] = {"type": "string"}
            schemas["Trade"]["required"].append("nobody_reads_it")
            schemas["Refusal"]["required"] = ["code"]
            root["paths"]["/another"] = {"get": {"responses": {}}}
            root["paths"]["/markets/trades"]["post"] = {"security": [{"a_key": []}]}
            parameters = root["paths"]["/events"]["get"]["parameters"]
            parameters.append({"name": "optional", "in": "query", "schema": {"type": "string"}})
            root["info"]["version"] = "9.9.9"

        self.assertEqual(self.of(change), (0, "", ""))

    def test_changes_beside_a_reference_are_seen(self):
        for change, part in [
            (lambda root: root.update(security=[{"a_key": []}]), "has to be asked with a key now"),
            (
                lambda root: root["components"]["schemas"]["YesNo"]["enum"].append("maybe"),
                'the field `taker_side` of `trade` has the new values `"maybe"`',
            ),
            (
                lambda root: root["components"]["schemas"]["Event"]["allOf"][1].pop("required"),
                "the field `title` of `event` may be absent now",
            ),
            (
                lambda root: root["components"]["schemas"]["Level"].update(items={"type": "number"}),
                "the field `no_dollars` of `book_sides` holds lists of something else than strings now",
            ),
            (
                lambda root: root["components"]["responses"]["Refusal"].pop("content"),
                "the answer with the status 400 is no longer described as JSON",
            ),
            (
                lambda root: root["paths"]["/exchange/status"]["get"]["responses"].pop(503),
                "the answer with the status 503 is no longer described as JSON",
            ),
            (
                lambda root: root["components"]["schemas"]["Event"]["allOf"][1]["properties"]["markets"].update(
                    items={"type": "object"}
                ),
                "the field `ticker` of `market` is gone (in `/events`)",
            ),
        ]:
            status, said, errors = self.of(change)
            self.assertEqual((status, errors), (1, ""), part)
            self.assertIn(part, said)

    def test_a_file_that_is_not_what_it_should_be_proves_nothing(self):
        text = AGREES.read_text()
        page = "<!DOCTYPE html><html><body><h1>404</h1></body></html>"
        dangling = text.replace("    Candle:\n", "    Candles2:\n")
        for content, part in [
            ("", "is empty"),
            (" \n\n", "is empty"),
            (page, "is not"),
            ("openapi: [3", "is not YAML"),
            ("- openapi", "is not a specification"),
            ("swagger: '2.0'\npaths: {}\n", "is not a specification"),
            ("openapi: 3.0.0\ninfo: {version: 1}\npaths:\n", "has no paths"),
            ("openapi: 3.0.0\ninfo: {version: 1}\npaths: {}\n", "has none of our paths"),
            ("openapi: 3.0.0\ninfo: {version: 1}\npaths: {/markets: 7}\n", "says nothing of the path /markets"),
            (text.replace("/exchange/status:", "/exchange/x:").replace("#/components", "other.yaml#"), "another file"),
            (dangling, "is not whole: #/components/schemas/Candle is missing"),
            (text[: text.index("components:")], "is not whole"),
            ("\0", "is not YAML"),
        ]:
            with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
                file.write(content)
                file.flush()
                status, said, errors = self.compared(file.name)
            self.assertEqual((status, said), (2, ""), errors)
            self.assertIn(part, errors)
            self.assertEqual(len(errors.splitlines()), 1, errors)
        status, said, errors = self.compared("/no/such/file.yaml")
        self.assertEqual((status, said), (2, ""))
        self.assertIn("No such file", errors)

    def test_wherever_it_is_cut_off_it_never_agrees(self):
        text = AGREES.read_text()
        lines = text.splitlines(keepends=True)
        ends = [sum(map(len, lines[:count])) for count in range(0, len(lines), 12)]
        # Behind the last line that is asked for there is nothing to miss.
        for end in [*ends, *range(len(text) - 400, len(text) - 60, 90)]:
            with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
                file.write(text[:end])
                file.flush()
                status, said, _ = self.compared(file.name)
            self.assertNotEqual(status, 0, f"the first {end} of {len(text)} characters")

    def test_a_server_that_fails_proves_nothing(self):
        bodies = {"/agrees": AGREES.read_bytes(), "/empty": b"", "/binary": b"\xff\xfe\x00", "/page": b"<html></html>"}
        with served(bodies) as base:
            self.assertEqual(self.compared(f"{base}/agrees"), (0, "", ""))
            self.assertEqual(self.compared(f"{base}/moved"), (0, "", ""))
            for path, part in [
                ("/500", "was answered 500"),
                ("/loop1", "was answered 302"),
                ("/elsewhere", "was answered 302"),
                ("/cut", "broke off after"),
                ("/cut-chunks", "failed: IncompleteRead"),
                ("/empty", "is empty"),
                ("/binary", "is not text"),
                ("/page", "is not a specification"),
            ]:
                status, said, errors = self.compared(f"{base}{path}")
                self.assertEqual((status, said), (2, ""), path)
                self.assertIn(part, errors, path)
        status, said, errors = self.compared(f"http://127.0.0.1:{support.free_port()}/")
        self.assertEqual((status, said), (2, ""))
        self.assertIn("refused", errors)


class ChangelogTest(unittest.TestCase):
    def read(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".md") as file:
            file.write(text)
            file.flush()
            return watch("--only", "changelog", "--changelog", file.name)

    def test_what_was_acknowledged_is_nothing(self):
        self.assertEqual(self.read(CHANGELOG.read_text()), (0, "", ""))

    def test_a_newer_entry_is_told_wherever_it_stands(self):
        text = CHANGELOG.read_text()
        for whole in [NEW_ENTRY + text, text + NEW_ENTRY]:
            status, said, errors = self.read(whole)
            self.assertEqual((status, errors), (1, ""))
            lines = [line for line in said.splitlines() if line.startswith("- ")]
            # Nobody is called, and nothing is formatted, by what somebody else wrote.
            self.assertEqual(lines, ["- 2099-01-07: A field that somebody b wants /b"])

    def test_a_page_is_read_by_the_days_that_stand_alone(self):
        old, new = "<p>October 1, 2026</p>", "<div>\n Jan 7, 2099 \n</div>"
        self.assertEqual(self.read(f"<html><body>{old}<p>Gone on January 1, 2099.</p></body></html>"), (0, "", ""))
        status, said, _ = self.read(f"<html><body>{new}{old}</body></html>")
        self.assertEqual(status, 1)
        self.assertIn("- 2099-01-07: see the changelog", said)

    def test_what_is_no_changelog_or_only_its_top_proves_nothing(self):
        for text, part in [
            ("", "is empty"),
            ("<html><body>Not found</body></html>", "has no entry with a day"),
            ("# Changelog\n", "has no entry with a day"),
            ('<Update label="Soon">', "has no entry with a day"),
            ('<Update label="February 30, 2026">', "has no entry with a day"),
            (NEW_ENTRY, "does not reach back to"),
        ]:
            status, said, errors = self.read(text)
            self.assertEqual((status, said), (2, ""), text)
            self.assertIn(part, errors)

    def test_what_could_be_looked_at_is_said_all_the_same(self):
        status, said, errors = watch("--specification", CHANGED, "--changelog", "/no/such/file")
        self.assertEqual(status, 2)
        self.assertIn("the field `count_fp` of `trade` is gone", said)
        self.assertIn("/no/such/file failed", errors)
        both = watch("--specification", AGREES, "--changelog", CHANGELOG)
        self.assertEqual(both, (0, "", ""))


# Keeps one issue in a file, as far as the script asks for it, and notes what it was asked.
GH = r"""#!/usr/bin/env python3
import json, os, pathlib, sys
state = pathlib.Path(os.environ["GH_STATE"])
kept = json.loads(state.read_text())
arguments = sys.argv[1:]
kept["calls"].append(" ".join(arguments[:2]))
value = lambda name: arguments[arguments.index(name) + 1]
match arguments[:2]:
    case ["issue", "list"]:
        assert value("--state") == "open" and value("--label") == "specification"
        print(kept["number"] or "", end="\n" if kept["number"] else "")
    case ["label", "create"]:
        assert "--force" in arguments
    case ["issue", "create"]:
        assert not kept["number"] and value("--label") == "specification"
        kept.update(number=7, body=value("--body"), title=value("--title"))
    case ["issue", "view"]:
        print(kept["body"])
    case ["issue", "edit"]:
        kept["body"] = value("--body")
    case ["issue", "close"]:
        kept["number"] = None
    case ["issue", "comment"]:
        pass
    case other:
        sys.exit(f"nobody asks for {other}")
state.write_text(json.dumps(kept))
"""


class IssueTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.state = os.path.join(folder.name, "state.json")
        gh = os.path.join(folder.name, "gh")
        with open(gh, "w") as file:
            file.write(GH)
        os.chmod(gh, 0o755)
        self.path = f"{folder.name}:{os.environ['PATH']}"
        self.keep({"number": None, "body": "", "calls": []})

    def keep(self, kept):
        with open(self.state, "w") as file:
            json.dump(kept, file)

    def run_with(self, specification):
        """Exit status and the calls of one run."""
        arguments = ["--specification", str(specification), "--changelog", str(CHANGELOG)]
        environment = support.clean_environment(PATH=self.path, GH_STATE=self.state)
        done = subprocess.run([str(ISSUE), *arguments], env=environment, capture_output=True, text=True, timeout=120)
        with open(self.state) as file:
            kept = json.load(file)
        calls = kept["calls"]
        self.keep({**kept, "calls": []})
        return done.returncode, calls, kept

    def test_there_is_one_issue_and_it_says_what_is_so(self):
        status, calls, _ = self.run_with(AGREES)
        self.assertEqual((status, calls), (0, ["issue list"]))
        status, calls, kept = self.run_with(CHANGED)
        self.assertEqual((status, calls), (0, ["issue list", "label create", "issue create"]))
        self.assertIn("the field `count_fp` of `trade` is gone", kept["body"])
        status, calls, _ = self.run_with(CHANGED)
        self.assertEqual((status, calls), (0, ["issue list", "issue view"]), "said once")
        self.keep({**kept, "body": "something else", "calls": []})
        status, calls, kept = self.run_with(CHANGED)
        self.assertEqual((status, calls), (0, ["issue list", "issue view", "issue edit", "issue comment"]))
        self.assertIn("the field `count_fp` of `trade` is gone", kept["body"])
        status, calls, kept = self.run_with(AGREES)
        self.assertEqual((status, calls, kept["number"]), (0, ["issue list", "issue close"], None))

    def test_a_look_that_failed_touches_no_issue_and_fails(self):
        self.keep({"number": 7, "body": "as it was", "calls": []})
        status, calls, kept = self.run_with("/no/such/file")
        self.assertEqual((status, calls, kept["body"]), (2, [], "as it was"))


class WorkflowTest(unittest.TestCase):
    def setUp(self):
        self.text = WORKFLOW.read_text()
        self.workflow = yaml.safe_load(self.text)

    def test_it_runs_once_a_week_and_by_hand(self):
        # YAML 1.1 reads the word `on` as a truth value.
        begins = self.workflow[True]
        self.assertEqual(list(begins), ["schedule", "workflow_dispatch"])
        [schedule] = begins["schedule"]
        self.assertRegex(schedule["cron"], r"^\d+ \d+ \* \* [0-6]$")

    def test_rights_are_the_least_and_the_job_ends(self):
        self.assertEqual(self.workflow["permissions"], {})
        [job] = self.workflow["jobs"].values()
        self.assertEqual(job["permissions"], {"contents": "read", "issues": "write"})
        self.assertLessEqual(job["timeout-minutes"], 10)
        self.assertNotIn("secrets.", self.text)

    def test_its_action_is_that_of_the_release_and_its_step_a_command_of_the_repository(self):
        release = (support.ROOT / ".github/workflows/release.yml").read_text()
        [use] = re.findall(r"^ *- uses: (.*)$", self.text, re.MULTILINE)
        self.assertIn(f"uses: {use}\n", release)
        [job] = self.workflow["jobs"].values()
        commands = [step["run"] for step in job["steps"] if "run" in step]
        self.assertEqual(commands, [".ci/specification-issue"])
        self.assertTrue(os.access(ISSUE, os.X_OK))


if __name__ == "__main__":
    unittest.main()
