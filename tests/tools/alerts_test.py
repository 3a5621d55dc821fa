"""The alerting rules of examples/prometheus: promtool agrees with them, and each has its tests and its page."""

import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import support

EXAMPLES = support.ROOT / "examples"
RULES = EXAMPLES / "prometheus"

# All that the program exports; alerting_test.py holds the list against the program.
METRICS = {
    "kalshi_ingest_build_info",
    "kalshi_ingest_completeness_score",
    "kalshi_ingest_events_conflicting_total",
    "kalshi_ingest_events_duplicate_total",
    "kalshi_ingest_events_ingested_total",
    "kalshi_ingest_events_rejected_total",
    "kalshi_ingest_failing_markets",
    "kalshi_ingest_ingestion_lag_seconds",
    "kalshi_ingest_last_run_duration_seconds",
    "kalshi_ingest_last_run_events_ingested",
    "kalshi_ingest_last_run_exit_code",
    "kalshi_ingest_last_run_requests",
    "kalshi_ingest_last_run_timestamp_seconds",
    "kalshi_ingest_last_success_timestamp_seconds",
    "kalshi_ingest_late_trades_total",
    "kalshi_ingest_markets",
    "kalshi_ingest_newest_trade_timestamp_seconds",
    "kalshi_ingest_overlap_seconds",
    "kalshi_ingest_overlap_used_seconds",
    "kalshi_ingest_requests_total",
    "kalshi_ingest_retries_total",
    "kalshi_ingest_sla_seconds",
    "kalshi_ingest_stale_markets",
}

# What a mistake in the rules could look like: what stands there, and what would stand there instead.
MISTAKES = [
    ("kalshi_ingest_stale_markets) > 0", "kalshi_ingest_stale_markets) > 1"),
    ("kalshi_ingest_stale_markets) > 0", "kalshi_ingest_stale_markets) >= 0"),
    ("> max without (instance, job, shard, pod) (kalshi_ingest_sla_seconds)", "> 100000"),
    ("for: 2m", "for: 0m"),
    ("for: 2m", "for: 4m"),
    ("instance, job, shard, pod", "instance, job, shard"),
    ("instance, job, shard, pod", "instance, job, pod"),
    ("instance, job, shard, pod", "instance, shard, pod"),
    ("instance, job, shard, pod", "job, shard, pod"),
    ("time() - kalshi_ingest_last_run_timestamp_seconds > 300", "time() - kalshi_ingest_last_run_timestamp_seconds > 100"),
    ("time() - kalshi_ingest_last_run_timestamp_seconds > 300", "time() - kalshi_ingest_last_run_timestamp_seconds > 900"),
    ("kalshi_ingest_last_run_timestamp_seconds > 300", "max without (shard) (kalshi_ingest_last_run_timestamp_seconds) > 300"),
    ("absent(kalshi_ingest_last_run_timestamp_seconds)", "absent(up) == 0"),
    ("kalshi_ingest_last_run_exit_code == 5", "kalshi_ingest_last_run_exit_code == 4"),
    ("for: 5m", "for: 3m"),
    ("for: 5m", "for: 8m"),
    ("kalshi_ingest_last_run_exit_code != 3 != 5", "kalshi_ingest_last_run_exit_code != 4 != 5"),
    (" and kalshi_ingest_last_run_exit_code != 3 != 5", ""),
    ("!= 3 != 5", "!= 3"),
    ("kalshi_ingest_failing_markets) > 0", "kalshi_ingest_failing_markets) > 5"),
    ("for: 10m", "for: 1m"),
    ("for: 10m", "for: 15m"),
    ("kalshi_ingest_events_rejected_total[1h])) > 0", "kalshi_ingest_events_rejected_total[1h])) > 10"),
    ("increase(kalshi_ingest_events_rejected_total[1h])", "kalshi_ingest_events_rejected_total"),
    ("kalshi_ingest_events_conflicting_total[1h])) > 0", "kalshi_ingest_events_conflicting_total[1h])) > 10"),
    ("increase(kalshi_ingest_events_conflicting_total[1h])", "kalshi_ingest_events_conflicting_total"),
    ("max without (instance, job, shard, pod) (increase", "sum without (instance, job, shard, pod) (increase"),
    ("> 0.8 * min", "> 0.5 * min"),
    ("> 0.8 * min", "> 1.5 * min"),
    ("kalshi_ingest_completeness_score) < 0.999", "kalshi_ingest_completeness_score) < 0.9"),
    ("kalshi_ingest_completeness_score) < 0.999", "kalshi_ingest_completeness_score) < 1"),
    ('{reason="rate_limited"}', ""),
    (" > 0.2", " > 0.1"),
    (" > 0.2", " > 0.5"),
    ("for: 15m", "for: 1m"),
    ('{watch="*"}', ""),
    ("> 3 * 3600", "> 3600"),
    ("> 3 * 3600", "> 5 * 3600"),
    ("severity: page", "severity: ticket"),
    ("summary: Trades of", "summary: Of"),
]


def promtool(*arguments, directory=RULES):
    """promtool to its end, as text."""
    command = ["promtool", *[str(argument) for argument in arguments]]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=60)


def metric_names(expression):
    """The names of the metrics in a PromQL expression."""
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", bare)
    bare = re.sub(r"\b(without|by|on|ignoring|group_left|group_right)\s*\([^)]*\)", "", bare)
    words = re.findall(r"(?<![\w.])[a-zA-Z_:][\w:]*\b(?!\s*\()", bare)
    return {word for word in words if word not in {"and", "or", "unless", "bool", "offset", "max", "min", "sum", "count"}}


def rules_as_prometheus_reads_them(test):
    """Prometheus itself is the parser: the rules as its API shows them."""
    directory = pathlib.Path(tempfile.mkdtemp())
    test.addCleanup(shutil.rmtree, directory)
    config = directory / "prometheus.yml"
    config.write_text(f"rule_files: ['{RULES / 'alerts.yml'}']\n")
    address = f"127.0.0.1:{support.free_port()}"
    support.start(
        test,
        ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={directory}/data", f"--web.listen-address={address}"],
    )

    def groups():
        status, _, body = support.get(f"http://{address}/api/v1/rules")
        return status == 200 and json.loads(body)["data"]["groups"]

    return [rule for group in support.wait_for("Prometheus to read the rules", groups) for rule in group["rules"]]


def kebab(name):
    """KalshiIngestStale as the file name of its page."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()


class Alerts(unittest.TestCase):
    """What an operator copies from examples/prometheus."""

    def test_the_examples_are_what_the_tools_accept(self):
        for command in (
            ["promtool", "check", "rules", "--lint=all", "--lint-fatal", "alerts.yml"],
            ["promtool", "check", "config", "--lint=all", "--lint-fatal", "prometheus.yml"],
            ["amtool", "check-config", "alertmanager.yml"],
        ):
            done = subprocess.run(command, cwd=RULES, capture_output=True, text=True, timeout=60)
            self.assertEqual(0, done.returncode, f"{command}: {done.stdout}{done.stderr}")
            self.assertIn("SUCCESS", done.stdout, command)
            self.assertEqual("", done.stderr, command)

    def test_the_alerts_fire_and_keep_silent_as_their_tests_say(self):
        done = promtool("test", "rules", "alerts_test.yml")
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)

    def test_each_alert_has_a_case_that_fires_and_one_that_does_not(self):
        fires, silent, alert = set(), set(), None
        for line in (RULES / "alerts_test.yml").read_text().splitlines():
            if found := re.fullmatch(r"\s*- alertname: (\w+)", line):
                alert = found[1]
            elif line.strip() == "exp_alerts: []":
                silent.add(alert)
            elif line.strip().endswith("exp_labels:"):
                fires.add(alert)
        alerts = {rule["name"] for rule in rules_as_prometheus_reads_them(self)}
        self.assertEqual(alerts, fires)
        self.assertEqual(alerts, silent)

    def test_each_mistake_in_the_rules_is_caught(self):
        text = (RULES / "alerts.yml").read_text()
        for right, wrong in MISTAKES:
            with self.subTest(right=right, wrong=wrong), tempfile.TemporaryDirectory() as name:
                self.assertIn(right, text)
                directory = pathlib.Path(name)
                (directory / "alerts.yml").write_text(text.replace(right, wrong))
                shutil.copy(RULES / "alerts_test.yml", directory)
                checked = promtool("check", "rules", "alerts.yml", directory=directory)
                self.assertEqual(0, checked.returncode, f"not a mistake but nonsense: {checked.stderr}")
                done = promtool("test", "rules", "alerts_test.yml", directory=directory)
                self.assertNotEqual(0, done.returncode, "no test noticed")

    def test_each_alert_says_what_a_person_needs_and_has_a_page(self):
        rules = rules_as_prometheus_reads_them(self)
        self.assertGreaterEqual(len(rules), 6)
        for rule in rules:
            name = rule["name"]
            with self.subTest(name):
                self.assertRegex(name, r"^KalshiIngest[A-Z]\w+$")
                self.assertIn(rule["labels"]["severity"], {"page", "ticket"})
                self.assertEqual({"summary", "description", "runbook_url"}, set(rule["annotations"]))
                page = f"examples/runbooks/{kebab(name)}.md"
                self.assertEqual(page, rule["annotations"]["runbook_url"])
                self.assertTrue((support.ROOT / page).is_file(), page)
        names = [rule["name"] for rule in rules]
        self.assertEqual(len(names), len(set(names)), "an alert's name is a page's name")
        pages = {path.name for path in (EXAMPLES / "runbooks").iterdir()}
        self.assertEqual({f"{kebab(name)}.md" for name in names}, pages)

    def test_each_page_answers_the_same_questions(self):
        for path in sorted((EXAMPLES / "runbooks").iterdir()):
            with self.subTest(path.name):
                lines = path.read_text().splitlines()
                self.assertEqual(path.stem, kebab(lines[0].removeprefix("# ")))
                headings = [line for line in lines if line.startswith("## ")]
                self.assertEqual(["## First look", "## Causes and cures", "## When it ends by itself", "## Silence it"], headings)
                self.assertIn("**You lose:**", path.read_text())

    def test_the_rules_name_only_metrics_that_exist(self):
        for rule in rules_as_prometheus_reads_them(self):
            names = metric_names(rule["query"])
            self.assertTrue(names, rule["query"])
            self.assertLessEqual(names, METRICS, rule["name"])
            in_texts = re.findall(r"kalshi_ingest_\w+", str(rule["annotations"]))
            self.assertLessEqual(set(in_texts), METRICS, rule["name"])

    def test_a_wrong_name_in_an_expression_is_seen(self):
        known = 'max without (instance, job) (rate(kalshi_ingest_requests_total{watch="a"}[5m])) or time() > bool 3'
        self.assertEqual({"kalshi_ingest_requests_total"}, metric_names(known))
        self.assertEqual({"kalshi_ingest_typo", "up"}, metric_names("max by (up) (kalshi_ingest_typo) unless on () up == 1e3"))


if __name__ == "__main__":
    unittest.main()
