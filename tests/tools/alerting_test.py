"""The whole way of an alert with the real tools: passes, node_exporter, Prometheus, Alertmanager, and whoever is woken."""

import http.server
import json
import pathlib
import re
import shlex
import shutil
import signal
import sqlite3
import stat
import subprocess
import tempfile
import threading
import unittest
import urllib.parse

import support
from alerts_test import EXAMPLES, METRICS

# A machine under load takes its time; nothing here is about speed.
PATIENCE = 120.0
# How long no pass may end in the shortened rules.
ABSENT_AFTER = 12


class Recorder:
    """Whoever is woken: keeps the notifications that Alertmanager sends, by receiver."""

    def __init__(self, test):
        received = self.received = []

        class Handler(http.server.BaseHTTPRequestHandler):
            """Takes everything."""

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received.append((self.path.strip("/"), json.loads(body)))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        test.addCleanup(self.server.server_close)
        test.addCleanup(self.server.shutdown)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def alerts(self, receiver):
        """Each alert of each notification, the oldest first."""
        return [alert for to, body in list(self.received) if to == receiver for alert in body["alerts"]]

    def wait_for(self, receiver, status, after=0, **labels):
        """The first such alert among those after the first `after`."""

        def find():
            for alert in self.alerts(receiver)[after:]:
                if alert["status"] == status and labels.items() <= alert["labels"].items():
                    return alert
            return None

        return support.wait_for(f"{labels} {status} at the {receiver}", find, PATIENCE)


class Monitoring:
    """The examples in use: what an operator's machines run, on free ports, faster."""

    def __init__(self, test, rules=None):
        self.test = test
        self.directory = temporary(test)
        self.textfiles = self.directory / "textfiles"
        self.textfiles.mkdir()
        ports = {name: support.free_port() for name in ("exporter", "gateway", "serve", "prometheus", "alertmanager")}
        self.exporter, self.gateway, self.serve, self.prometheus, self.alertmanager = (
            f"127.0.0.1:{port}" for port in ports.values()
        )
        self.recorder = Recorder(test)
        self.start_exporter()
        self.start_gateway()
        self.start_alertmanager()
        self.start_prometheus(rules or (EXAMPLES / "prometheus" / "alerts.yml").read_text())

    def start_exporter(self):
        """node_exporter with the textfile collector alone."""
        command = ["prometheus-node-exporter", "--collector.disable-defaults", "--collector.textfile"]
        command += [f"--collector.textfile.directory={self.textfiles}", f"--web.listen-address={self.exporter}"]
        self.start("node_exporter", command, f"http://{self.exporter}/metrics")

    def start_gateway(self):
        """The Pushgateway."""
        command = ["prometheus-pushgateway", f"--web.listen-address={self.gateway}"]
        self.start("pushgateway", command, f"http://{self.gateway}/-/ready")

    def start_alertmanager(self):
        """Alertmanager with the example, in which only the URLs and the waiting differ."""
        text = (EXAMPLES / "prometheus" / "alertmanager.yml").read_text()
        text = replaced(text, "http://pager.example.com/alert", f"{self.recorder.url}/pager")
        text = replaced(text, "http://tickets.example.com/alert", f"{self.recorder.url}/tickets")
        text = replaced(text, "group_wait: 15s", "group_wait: 0s\n      group_interval: 1s")
        config = self.directory / "alertmanager.yml"
        config.write_text(text)
        command = ["prometheus-alertmanager", f"--config.file={config}", f"--storage.path={self.directory}/alertmanager"]
        command += [f"--web.listen-address={self.alertmanager}", "--cluster.listen-address="]
        self.start("alertmanager", command, f"http://{self.alertmanager}/-/ready")

    def start_prometheus(self, rules):
        """Prometheus with the examples, in which only addresses and intervals differ."""
        text = (EXAMPLES / "prometheus" / "prometheus.yml").read_text()
        text = replaced(text, "interval: 15s", "interval: 1s")
        for example, address in {
            "localhost:9093": self.alertmanager,
            "ingest-1.example.com:9100": self.exporter,
            "pushgateway:9091": self.gateway,
            "kalshi-ingest:8080": self.serve,
        }.items():
            text = replaced(text, f"'{example}'", f"'{address}'")
        (self.directory / "prometheus.yml").write_text(text)
        (self.directory / "alerts.yml").write_text(rules)
        command = ["prometheus", f"--config.file={self.directory}/prometheus.yml", f"--storage.tsdb.path={self.directory}/data"]
        command += [f"--web.listen-address={self.prometheus}", "--rules.alert.resend-delay=1s"]
        self.start("prometheus", command, f"http://{self.prometheus}/-/ready")

    def start(self, name, command, url):
        """One of the tools, until it answers; its log is shown when it does not."""
        log = self.directory / f"{name}.log"
        support.start(self.test, command, log=log)
        try:
            support.wait_for(name, lambda: support.get(url)[0] == 200, PATIENCE)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{log.read_text()[-2000:]}") from None

    def query(self, expression, time=None):
        """The answer of an instant query: labels, instant, value."""
        arguments = {"query": expression} if time is None else {"query": expression, "time": time}
        status, _, body = support.get(f"http://{self.prometheus}/api/v1/query?{urllib.parse.urlencode(arguments)}")
        if status != 200:
            raise ValueError(body)
        return [(sample["metric"], sample["value"][0], float(sample["value"][1])) for sample in json.loads(body)["data"]["result"]]

    def value(self, expression, time=None):
        """The one value of an instant query."""
        [(_, _, value)] = self.query(expression, time)
        return value

    def wait_for_value(self, expression, value):
        """Until the query has this one value; the instant at which it was asked."""

        def ask():
            [(_, instant, found)] = self.query(expression) or [(None, None, None)]
            return found == value and instant

        return support.wait_for(f"{expression} to be {value}", ask, PATIENCE)


class Passes:
    """What cron does, every second instead of every minute."""

    def __init__(self, test, *arguments):
        self.arguments = arguments
        self.stopping = threading.Event()
        self.ended = []
        self.thread = threading.Thread(target=self.loop, daemon=True)
        self.thread.start()
        test.addCleanup(self.stop)

    def loop(self):
        """A pass, a second, a pass, …"""
        while not self.stopping.is_set():
            self.ended.append(support.ingest("run", "-q", *self.arguments))
            self.stopping.wait(1.0)

    def stop(self):
        """Ends with the pass at work."""
        self.stopping.set()
        self.thread.join()


def temporary(test):
    """A directory that goes with the test."""
    directory = pathlib.Path(tempfile.mkdtemp())
    test.addCleanup(shutil.rmtree, directory, ignore_errors=True)
    return directory


def replaced(text, example, own):
    """With our own in place of the example, which has to be there."""
    if example not in text:
        raise AssertionError(f"the examples do not say {example!r} any more")
    return text.replace(example, own)


def shortened(rules):
    """The rules with seconds instead of minutes to wait, and nothing else changed."""
    rules = re.sub(r"for: \d+m\b", "for: 1s", rules)
    return replaced(rules, "timestamp_seconds > 300", f"timestamp_seconds > {ABSENT_AFTER}")


def exchange(test, port, *flags):
    """A simulated exchange on this port; its base URL, and its process."""
    process = support.start(test, [support.SIMULATOR, "--listen", f"127.0.0.1:{port}", *flags])
    url = f"http://127.0.0.1:{port}/trade-api/v2"
    support.wait_for("the simulated exchange", lambda: support.get(f"{url}/exchange/status")[0] == 200, PATIENCE)
    return url, process


def stored_trades(database):
    """How many trades the database holds."""
    with sqlite3.connect(database, timeout=30) as connection:
        return connection.execute("select count(*) from prediction_market_trades").fetchone()[0]


def samples(text):
    """Each sample of the Prometheus text: name with labels, and value."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def names(text):
    """The names of its metrics."""
    return {name.partition("{")[0] for name in samples(text)}


class Alerting(unittest.TestCase):
    """From a pass to the pager."""

    def test_a_stale_market_and_a_dead_cron_wake_somebody_and_all_clear_follows(self):
        port = support.free_port()
        flags = ["--live", "20", "--trades", "50", "--ticker", "KXAA-1", "--ticker", "KXBB-1"]
        url, simulated = exchange(self, port, *flags)
        rules = shortened((EXAMPLES / "prometheus" / "alerts.yml").read_text())
        monitoring = Monitoring(self, rules)
        pager = monitoring.recorder
        directory = temporary(self)
        watchlist = directory / "watchlist.toml"
        watchlist.write_text(
            '[[watch]]\nmarket = "KXAA-1"\nsla = "8s"\n\n[[watch]]\nseries = "KXBB"\nsla = "1h"\n'
        )
        arguments = ["--database-url", f"sqlite:{directory}/kalshi.db", "--base-url", url, "--watchlist", watchlist]
        arguments += ["--settle", "1s", "--deadline", "3s", "--metrics-file", monitoring.textfiles / "kalshi_ingest.prom"]
        passes = Passes(self, *arguments)
        fresh = 'kalshi_ingest_stale_markets{job="node", watch="KXAA-1"}'
        monitoring.wait_for_value(fresh, 0)

        simulated.kill()
        simulated.wait()
        fired = pager.wait_for("pager", "firing", alertname="KalshiIngestStale", watch="KXAA-1")
        self.assertEqual("page", fired["labels"]["severity"])
        self.assertEqual("Kalshi trades of KXAA-1 are stale", fired["annotations"]["summary"])
        self.assertRegex(
            fired["annotations"]["description"],
            r"^The worst market of KXAA-1 is complete up to [\dhm. ]+s ago; its SLA is 8s; stale markets: at least 1\. Nothing",
        )
        self.assertTrue((support.ROOT / fired["annotations"]["runbook_url"]).is_file())
        self.assertIn(3, [done.returncode for done in passes.ended])

        before = len(pager.alerts("pager"))
        exchange(self, port, *flags)
        pager.wait_for("pager", "resolved", before, alertname="KalshiIngestStale", watch="KXAA-1")
        monitoring.wait_for_value(fresh, 0)

        before = len(pager.alerts("pager"))
        passes.stop()
        fired = pager.wait_for("pager", "firing", before, alertname="KalshiIngestAbsent", job="node")
        self.assertEqual(
            f"No pass of kalshi-ingest has ended lately on {monitoring.exporter}", fired["annotations"]["summary"]
        )
        before = len(pager.alerts("pager"))
        Passes(self, *arguments)
        pager.wait_for("pager", "resolved", before, alertname="KalshiIngestAbsent", job="node")

        everybody = {alert["labels"].get("watch") for alert in pager.alerts("pager")}
        self.assertNotIn("KXBB", everybody, "its SLA is an hour")

    def test_what_prometheus_counts_is_what_is_stored_whatever_is_killed(self):
        url, _ = support.simulator(self, "--trades", "15000", "--ticker", "KXAA-1", "--ticker", "KXBIG-1")
        monitoring = Monitoring(self)
        database = temporary(self) / "kalshi.db"
        flags = ["--database-url", f"sqlite:{database}", "--base-url", url]
        flags += ["--metrics-file", monitoring.textfiles / "kalshi_ingest.prom"]
        counter = 'kalshi_ingest_events_ingested_total{job="node"}'
        quickly = ["--requests-per-second", "20"]
        support.ingest("run", "--market", "KXAA-1", *quickly, *flags, check=0)
        first_rows = stored_trades(database)
        self.assertGreater(first_rows, 10_000)
        first = monitoring.wait_for_value(counter, first_rows)

        # Slow enough to be met at work.
        command = [support.INGEST, "run", "--market", "KXAA-1,KXBIG-1", "--requests-per-second", "2", *flags]
        victim = support.start(self, command, env=support.clean_environment())
        support.wait_for("the pass to store something", lambda: stored_trades(database) > first_rows, PATIENCE)
        victim.kill()
        self.assertEqual(-signal.SIGKILL, victim.wait())
        killed_rows = stored_trades(database)
        self.assertLess(killed_rows, first_rows + 15_000, "it was at work when it was killed")

        support.ingest("run", "--market", "KXAA-1,KXBIG-1", *quickly, *flags, check=0)
        second_rows = stored_trades(database)
        self.assertGreater(second_rows, killed_rows)
        second = monitoring.wait_for_value(counter, second_rows)
        self.assertEqual(second_rows - first_rows, monitoring.value(counter, second) - monitoring.value(counter, first))
        self.assertEqual(0, monitoring.value(f"resets({counter}[1h])"), "a counter never falls")
        self.assertGreater(monitoring.value(f"increase({counter}[1h])"), 0)

    def test_each_shard_has_its_place_at_the_push_gateway(self):
        url, _ = support.simulator(self, "--trades", "100", "--markets", "6")
        monitoring = Monitoring(self)
        database = temporary(self) / "kalshi.db"
        flags = ["--database-url", f"sqlite:{database}", "--base-url", url, "--series", "KXSIM"]
        flags += ["--push-gateway", f"http://{monitoring.gateway}"]
        for shard in ("0/2", "1/2"):
            support.ingest("run", *flags, "--shard", shard, check=0)
        for shard in ("0-of-2", "1-of-2"):
            labels = f'job="kalshi_ingest", shard="{shard}"'
            monitoring.wait_for_value(f"count(kalshi_ingest_last_run_exit_code{{{labels}}})", 1)
            self.assertEqual(0, monitoring.value(f"kalshi_ingest_last_run_exit_code{{{labels}}}"))
        monitoring.wait_for_value("sum(kalshi_ingest_markets)", 6)
        # The second to push knows the counts of both, of one database.
        monitoring.wait_for_value("max(kalshi_ingest_events_ingested_total)", stored_trades(database))

    def test_the_three_ways_say_the_same(self):
        url, _ = support.simulator(self, "--trades", "100", "--markets", "2")
        monitoring = Monitoring(self)
        database = ["--database-url", f"sqlite:{temporary(self)}/kalshi.db"]
        told = ["--metrics-file", monitoring.textfiles / "kalshi_ingest.prom", "--push-gateway", f"http://{monitoring.gateway}"]
        support.ingest("run", *database, "--base-url", url, "--series", "KXSIM", *told, check=0)
        support.start(
            self, [support.INGEST, "serve", "--listen", monitoring.serve, *database], env=support.clean_environment()
        )
        known = METRICS - {"kalshi_ingest_completeness_score"}
        for job in ("node", "kalshi_ingest", "kalshi-ingest"):
            by_name = f'count(count by (__name__) ({{__name__=~"kalshi_ingest_.+", job="{job}"}}))'
            monitoring.wait_for_value(by_name, len(known))
        for name in sorted(known - {"kalshi_ingest_ingestion_lag_seconds", "kalshi_ingest_last_run_duration_seconds"}):
            # Without what differs by the way there is one value for each reason and watch.
            differing = f"max without (job, instance, shard) ({name}) - min without (job, instance, shard) ({name})"
            self.assertEqual({0.0}, {value for _, _, value in monitoring.query(differing)}, name)
        self.assertEqual([], monitoring.query('ALERTS{alertstate="firing"}'))

    def test_a_push_gateway_that_is_away_changes_no_exit_status(self):
        url, _ = support.simulator(self, "--trades", "10", "--ticker", "KXAA-1")
        flags = ["--database-url", f"sqlite:{temporary(self)}/kalshi.db", "--base-url", url, "--market", "KXAA-1"]
        done = support.ingest("run", "-q", *flags, "--push-gateway", f"http://127.0.0.1:{support.free_port()}", check=0)
        self.assertIn("127.0.0.1", done.stderr)

    def test_the_file_is_what_collectors_take_and_status_says_the_same(self):
        url, _ = support.simulator(self, "--trades", "100", "--markets", "2")
        directory = temporary(self)
        flags = ["--database-url", f"sqlite:{directory}/kalshi.db"]
        textfiles = directory / "textfiles"
        textfiles.mkdir()
        file = textfiles / "kalshi_ingest.prom"
        run = [*flags, "--base-url", url, "--series", "KXSIM", "--metrics-file", file]
        support.ingest("run", *run, check=0)
        support.ingest("completeness", *flags, "--base-url", url, "--series", "KXSIM")
        # Even where the user's files are private, the collector is another user.
        command = [str(part) for part in (support.INGEST, "run", *run)]
        subprocess.run(command, env=support.clean_environment(), check=True, capture_output=True, timeout=120, umask=0o077)
        self.assertEqual(0o644, stat.S_IMODE(file.stat().st_mode))
        self.assertEqual([file.name], [path.name for path in textfiles.iterdir()])
        self.check_metrics(file.read_text())
        self.assertEqual(METRICS, names(file.read_text()))

        said = support.ingest("status", *flags, "--output", "prometheus", check=0).stdout
        self.check_metrics(said)
        self.assertEqual(set(samples(file.read_text())), set(samples(said)))
        changing = ("lag_seconds", "duration_seconds")
        for name, value in samples(file.read_text()).items():
            if not name.partition("{")[0].endswith(changing):
                self.assertEqual(value, samples(said)[name], name)

    def test_without_the_database_the_file_says_so_and_keeps_the_rest(self):
        url, _ = support.simulator(self, "--trades", "100", "--ticker", "KXAA-1")
        directory = temporary(self)
        file = directory / "kalshi_ingest.prom"
        run = ["--base-url", url, "--market", "KXAA-1", "--metrics-file", file]
        support.ingest("run", "--database-url", f"sqlite:{directory}/kalshi.db", *run, check=0)
        good = samples(file.read_text())
        support.ingest("run", "--database-url", f"sqlite:{directory}/away/kalshi.db", *run, check=5)
        self.check_metrics(file.read_text())
        bad = samples(file.read_text())
        self.assertEqual(set(good), set(bad))
        self.assertEqual(5, bad["kalshi_ingest_last_run_exit_code"])
        ended = "kalshi_ingest_last_run_timestamp_seconds"
        self.assertGreater(bad[ended], good[ended])
        kept = {name for name in good if "last_run" not in name}
        self.assertEqual({name: good[name] for name in kept}, {name: bad[name] for name in kept})

    def check_metrics(self, text):
        """promtool has nothing to say."""
        done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60)
        self.assertEqual((0, "", ""), (done.returncode, done.stdout, done.stderr))


class Runbooks(unittest.TestCase):
    """What the pages tell somebody to type at three in the morning."""

    def blocks(self, language):
        """Each code block of this language, with its page."""
        for path in sorted((EXAMPLES / "runbooks").iterdir()):
            for block in re.findall(rf"^ *```{language}\n(.*?)^ *```", path.read_text(), re.DOTALL | re.MULTILINE):
                yield path.name, block

    def test_the_queries_fit_the_tables(self):
        database = temporary(self) / "kalshi.db"
        support.ingest("migrate", "--database-url", f"sqlite:{database}", check=0)
        asked = 0
        with sqlite3.connect(database) as connection:
            for page, block in self.blocks("sql"):
                for query in filter(str.strip, block.split(";")):
                    with self.subTest(page):
                        connection.execute(query)
                        asked += 1
        self.assertGreater(asked, 5)

    def test_the_commands_are_those_of_the_program(self):
        tried = 0
        for page, block in self.blocks("sh"):
            for line in block.splitlines():
                words = shlex.split(line.split(";")[0], comments=True)
                if words[:1] == ["kalshi-ingest"]:
                    with self.subTest(page, line=line):
                        # With --help nothing is done, but what stands before it has to be right.
                        done = support.ingest(*words[1:], "--help")
                        self.assertEqual(0, done.returncode, done.stderr)
                        tried += 1
        self.assertGreater(tried, 5)

    def test_alertmanager_takes_the_silences(self):
        monitoring = Monitoring(self)
        alerts = set()
        for page, block in self.blocks("sh"):
            for line in block.splitlines():
                words = shlex.split(line, comments=True)
                if words[:1] == ["amtool"]:
                    with self.subTest(page):
                        command = [*words, "--author=test", f"--alertmanager.url=http://{monitoring.alertmanager}"]
                        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
                        self.assertEqual(0, done.returncode, done.stderr)
                        alerts.add(re.search(r"alertname=(\w+)", line)[1])
        rules = (EXAMPLES / "prometheus" / "alerts.yml").read_text()
        self.assertEqual(set(re.findall(r"- alert: (\w+)", rules)), alerts)


if __name__ == "__main__":
    unittest.main()
