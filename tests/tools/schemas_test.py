"""Every JSON that the program writes, in every state that a market can be in, against its schema in docs/schemas."""

import copy
import json
import pathlib
import sqlite3
import subprocess
import tempfile
import unittest

import jsonschema
import support

SCHEMAS = {path.stem: json.loads(path.read_text()) for path in (support.ROOT / "docs/schemas").glob("*.json")}
# They are there where there is something to say.
OPTIONAL = {("health", "output")}
# No trades request is answered: the markets are listed, and none can be read.
BROKEN = ("--fault-per-mille", "1000", "--fault", "garbage")


def validator(name):
    return jsonschema.Draft202012Validator(SCHEMAS[name])


def objects(value):
    """Every object within a JSON value, itself included."""
    if isinstance(value, dict):
        yield value
    if isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from objects(inner)


class Sound(unittest.TestCase):
    """The schemas by themselves."""

    def test_there_is_one_for_each_output(self):
        self.assertEqual({"status", "completeness", "overview", "health", "log"}, set(SCHEMAS))

    def test_each_is_a_schema_of_its_draft(self):
        for name, schema in SCHEMAS.items():
            with self.subTest(name):
                self.assertEqual("https://json-schema.org/draft/2020-12/schema", schema["$schema"])
                jsonschema.Draft202012Validator.check_schema(schema)

    def test_each_object_is_closed_and_each_field_described(self):
        for name, schema in SCHEMAS.items():
            closed = [part for part in objects(schema) if part.get("type") == "object"]
            self.assertTrue(closed, name)
            for part in closed:
                with self.subTest(name, title=part.get("title") or part["description"]):
                    self.assertIs(False, part["additionalProperties"])
                    self.assertLessEqual(set(part["required"]), set(part["properties"]))
                    for field, inner in part["properties"].items():
                        self.assertTrue({"description", "$ref"} & set(inner), field)

    def test_the_reference_leads_to_each(self):
        reference = (support.ROOT / "docs/reference.md").read_text()
        for name in SCHEMAS:
            self.assertTrue(f"(schemas/{name}.json)" in reference, f"{name} is not in the reference")


class Outputs(unittest.TestCase):
    """Outputs of the real program on a database that real passes filled."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = pathlib.Path(folder.name) / "kalshi.db"
        self.database = ("--database-url", f"sqlite:{self.file}")

    def held(self, name, text):
        """The value of this output, which its schema takes, and which it would refuse if a field came or went."""
        value = json.loads(text)
        errors = [f"{error.json_path}: {error.message}" for error in validator(name).iter_errors(value)]
        self.assertEqual([], errors, f"{name}: {text[:2000]}")
        for at in range(len(list(objects(value)))):
            self.refuses(name, value, at, lambda part: part.update(unheard_of=1), "a new field")
            for field in list(objects(value))[at]:
                if (name, field) not in OPTIONAL:
                    self.refuses(name, value, at, lambda part, field=field: part.pop(field), f"{field} missing")
                self.refuses(name, value, at, lambda part, field=field: part.update({field: [[]]}), f"{field} a list")
        return value

    def refuses(self, name, value, at, change, what):
        changed = copy.deepcopy(value)
        change(list(objects(changed))[at])
        self.assertFalse(validator(name).is_valid(changed), f"the schema of {name} takes {what}")

    def sql(self, statement, *values):
        """Changes the database; how many rows it changed."""
        connection = sqlite3.connect(self.file, timeout=30)
        with connection:
            count = connection.execute(statement, values).rowcount
        connection.close()
        return count

    def run_pass(self, *flags, simulated=("--markets", "2", "--trades", "40"), code=0):
        """One pass over a simulated exchange; the exchange's base URL and its process."""
        base_url, process = support.simulator(self, *simulated)
        support.ingest("run", "-q", *self.on(base_url), *flags, check=code)
        return base_url, process

    def on(self, base_url):
        return ("--series", "KXSIM", "--requests-per-second", "500", "--base-url", base_url, *self.database)

    def status(self, *flags, code=0):
        done = support.ingest("status", "--output", "json", *flags, *self.database, check=code)
        return self.held("status", done.stdout)

    def states(self, *flags):
        return [market["state"] for market in self.status(*flags)["markets"]]

    def is_behind(self):
        """Whether a pass that is at work has stored something; before that there may be no schema yet."""
        done = support.ingest("status", "--output", "csv", *self.database)
        return done.returncode == 0 and ",behind," in done.stdout

    def completeness(self, base_url, *flags, code=0):
        command = ["completeness", "-q", "--output", "json", *self.on(base_url), *flags]
        return self.held("completeness", support.ingest(*command, check=code).stdout)

    def served(self, *flags):
        """The status of /health, its value and that of /overview.json."""
        address = f"127.0.0.1:{support.free_port()}"
        command = [support.INGEST, "serve", "-q", "--listen", address, *flags, *self.database]
        server = support.start(self, command, env=support.clean_environment())
        support.wait_for("the server", lambda: support.get(f"http://{address}/livez")[0] == 200)
        status, _, health = support.get(f"http://{address}/health")
        overview = support.get(f"http://{address}/overview.json")[2]
        server.kill()
        return status, self.held("health", health), self.held("overview", overview)

    def test_without_a_database(self):
        code, health, overview = self.served()
        self.assertEqual((503, "fail"), (code, health["status"]))
        self.assertIn("output", health)
        self.assertIn("error", overview)

    def test_of_an_empty_database(self):
        support.ingest("migrate", "-q", *self.database, check=0)
        self.assertEqual([], self.states())
        code, health, overview = self.served()
        self.assertEqual((503, "fail"), (code, health["status"]))
        self.assertEqual(([], [], []), (overview["watches"], overview["markets"], overview["runs"]))

    def test_of_fresh_markets(self):
        base_url, _ = self.run_pass()
        self.assertEqual(["fresh", "fresh"], self.states())
        code, health, overview = self.served()
        self.assertEqual((200, "pass"), (code, health["status"]))
        self.assertIsNone(overview["watches"][0]["completeness"])
        # A score is shown as soon as there is one.
        self.assertEqual(1, self.completeness(base_url)["universe"]["score"])
        overview = self.served()[2]
        self.assertEqual({"run", "completeness"}, {run["command"] for run in overview["runs"]})
        self.assertEqual(1, overview["watches"][0]["completeness"]["score"])
        self.assertEqual({1}, {market["score"] for market in overview["markets"]})

    def test_of_stale_markets(self):
        # A slow machine may see the breach at the end of the pass already.
        _, process = self.run_pass("--sla", "2s", "--settle", "1s", code=None)
        process.kill()
        support.wait_for("the breach", lambda: self.states() == ["stale", "stale"])
        code, health, overview = self.served()
        self.assertEqual((503, "fail"), (code, health["status"]))
        self.assertIn("output", health["checks"]["kalshi:freshness"][0])
        self.assertEqual({"stale"}, {market["state"] for market in overview["markets"]})

    def test_of_markets_that_fail(self):
        self.run_pass()
        base_url, _ = support.simulator(self, "--markets", "2", "--trades", "40", *BROKEN)
        support.ingest("run", "-q", *self.on(base_url))
        self.assertEqual(["failing", "failing"], self.states())
        code, health, overview = self.served()
        self.assertEqual((200, "warn"), (code, health["status"]))
        self.assertTrue(all(market["last_error"] for market in overview["markets"]))
        self.assertTrue(overview["runs"][0]["error"])

    def test_of_markets_that_were_never_read(self):
        base_url, _ = support.simulator(self, "--markets", "2", "--trades", "40", *BROKEN)
        support.ingest("run", "-q", *self.on(base_url))
        markets = self.status()["markets"]
        self.assertEqual({None}, {market["complete_until"] for market in markets})
        self.assertEqual({None}, {market["last_trade_at"] for market in self.served()[2]["markets"]})

    def test_of_a_pass_that_was_killed_before_it_was_through(self):
        # One page is answered in a second, and there are twenty.
        simulated = ("--markets", "1", "--trades", "20000", "--fault-per-mille", "1000", "--fault", "slow=400000/1000")
        base_url, _ = support.simulator(self, *simulated)
        command = [support.INGEST, "run", "-q", *self.on(base_url)]
        process = subprocess.Popen([str(part) for part in command], env=support.clean_environment())
        self.addCleanup(process.kill)
        support.wait_for("a page", self.is_behind)
        process.kill()
        process.wait()
        market = self.status()["markets"][0]
        self.assertEqual(("behind", None), (market["state"], market["complete_until"]))
        overview = self.served()[2]
        self.assertIsNone(overview["runs"][0]["exit_code"])
        self.assertEqual(1, overview["watches"][0]["behind"])

    def test_of_retired_markets(self):
        self.run_pass()
        retired = "update ingestion_checkpoints set retired_at = last_success_at where market_ticker = 'KXSIM-M1'"
        self.assertEqual(1, self.sql(retired))
        self.assertEqual(["retired", "fresh"], self.states())
        overview = self.served()[2]
        self.assertEqual(1, overview["retired_total"])
        self.assertEqual({"fresh", "retired"}, {market["state"] for market in overview["markets"]})

    def test_of_an_entry_that_no_pass_was_asked_for(self):
        self.run_pass()
        unknown = ("--market", "KXNOBODY")
        done = support.ingest("status", "--output", "json", *unknown, *self.database, check=2)
        self.assertEqual([], self.held("status", done.stdout)["markets"])
        code, health, overview = self.served(*unknown)
        check = health["checks"]["kalshi:freshness"][0]
        self.assertEqual((503, "KXNOBODY", "fail"), (code, check["componentId"], check["status"]))
        self.assertEqual(["market"], [watch["kind"] for watch in overview["watches"]])

    def test_of_scores_that_fall_short(self):
        base_url, _ = self.run_pass(simulated=("--markets", "3", "--trades", "40"))
        trades = "delete from prediction_market_trades where market_ticker = ?"
        self.assertEqual(40, self.sql(trades, "KXSIM-M1"))
        self.assertEqual(20, self.sql(f"{trades} and trade_id in (select trade_id from prediction_market_trades "
                                      "where market_ticker = 'KXSIM-M2' limit 20)", "KXSIM-M2"))
        scores = self.completeness(base_url, "--min-score", "1", code=6)
        self.assertEqual((3, 1, 1), tuple(scores["universe"][part] for part in ("markets", "complete", "never_read")))
        self.assertEqual({"candles"}, {market["basis"] for market in scores["markets"]})
        # One that is over is judged by its volume.
        over = "update prediction_markets set status = 'finalized', ended_at = checked_at where market_ticker = ?"
        self.assertEqual(1, self.sql(over, "KXSIM-M1"))
        scores = self.completeness(base_url)
        self.assertEqual({"candles", "lifetime"}, {market["basis"] for market in scores["markets"]})

    def test_of_scores_by_the_hour(self):
        base_url, _ = self.run_pass(simulated=("--markets", "1", "--trades", "400", "--span", "6h"))
        self.assertGreater(self.sql("delete from prediction_market_trades where rowid % 2 = 0"), 0)
        connection = sqlite3.connect(self.file)
        window = connection.execute("select strftime('%Y-%m-%dT%H:00:00Z', 'now', '-4 hours'), "
                                    "strftime('%Y-%m-%dT%H:00:00Z', 'now', '-1 hours')").fetchone()
        connection.close()
        scores = self.completeness(base_url, "--from", window[0], "--to", window[1])
        market = scores["markets"][0]
        self.assertEqual(("candles", 3, 3), (market["basis"], market["hours_short"], len(market["worst_hours"])))

    def test_of_the_log(self):
        base_url, _ = support.simulator(self, "--markets", "2", "--trades", "40", *BROKEN)
        done = support.ingest("run", "-vv", "--log-format", "json", *self.on(base_url))
        lines = [self.held("log", line) for line in done.stderr.splitlines()]
        self.assertLessEqual({"error", "info", "debug"}, {line["level"] for line in lines})
        self.assertEqual({None, 1}, {line["run_id"] for line in lines})


if __name__ == "__main__":
    unittest.main()
