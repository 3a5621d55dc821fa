"""crontab.example under the real cron daemon: silent while all is well, a mail when a market is stale, silent again.

The daemon's clock runs sixty times too fast, so that it starts a pass every second. The passes have the real clock.
"""

import os
import pathlib
import pwd
import re
import shutil
import sqlite3
import subprocess
import tempfile
import unittest

import support

EXAMPLE = support.ROOT / "crontab.example"
MARKETS = ("KXBTCD-26NOV22-T99000", "KXHIGHNY-26NOV22-B50")
SLA_SECONDS = 15

# Everything cron looks at is replaced inside a mount namespace of its own, which ends, with the
# daemon and its jobs, when the standard input does.
DAEMON = r"""
set -eu
place=$1 user=$2
cp /usr/sbin/cron "$place/sbin/cron"
mount --bind "$place/sbin" /usr/sbin
mount --bind "$place/bin" /usr/local/bin
mount --bind /dev/null /etc/crontab
mount -t tmpfs -o mode=0755 tmpfs /etc/cron.d
mount -t tmpfs -o mode=1730 tmpfs /var/spool/cron/crontabs
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /dev/shm
if [ -e "$place/own" ]; then crontab -u "$user" "$place/own"; fi
if [ -e "$place/system" ]; then install -o root -m 0644 "$place/system" /etc/cron.d/kalshi-ingest; fi
faketime -f '@2026-11-22 10:00:55 x60' cron -f -L 15 &
read -r _ || true
"""

# What cron hands the mail to. A mail is complete once it has its final name.
SENDMAIL = r"""#!/bin/sh
mail=$(mktemp '{mails}/.XXXXXX') && cat >"$mail" && mv "$mail" "$(echo "$mail" | sed 's,/\.,/,')"
"""


def example_jobs(text, mark=""):
    """The job lines that begin with `mark`, as schedule and command."""
    found = re.findall(rf"^{mark}((?:[\d*/,-]+ ){{5}})(.+)$", text, re.MULTILINE)
    return [(schedule.strip(), command) for schedule, command in found]


def with_settings(text, **settings):
    """The crontab with other values: in place where it has the name, be it in a comment, else on top."""
    for name, value in settings.items():
        line = f"{name}={value}"
        text, count = re.subn(rf"^(# )?{name}=.*$", line, text, flags=re.MULTILINE)
        if count == 0:
            text = f"{line}\n{text}"
    return text


class CronTest(unittest.TestCase):
    """Each test has a place for its database, its mails and its crontab."""

    def setUp(self):
        self.example = EXAMPLE.read_text()
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="cron-test-"))
        self.addCleanup(shutil.rmtree, self.place, ignore_errors=True)
        for name in ("bin", "sbin", "mails", "metrics"):
            (self.place / name).mkdir()
        self.database = self.place / "kalshi.db"
        (self.place / "database-url").write_text(f"sqlite:{self.database}\n")
        (self.place / "bin/kalshi-ingest").symlink_to(support.INGEST)
        sendmail = self.place / "sbin/sendmail"
        sendmail.write_text(SENDMAIL.replace("{mails}", str(self.place / "mails")))
        sendmail.chmod(0o755)
        self.port = support.free_port()
        self.base_url = f"http://127.0.0.1:{self.port}/trade-api/v2"

    def start_exchange(self):
        """The simulated exchange, always at the same address; its process."""
        markets = [word for ticker in MARKETS for word in ("--ticker", ticker)]
        flags = ["--listen", f"127.0.0.1:{self.port}", "--trades", "200", "--live", "20", *markets]
        process = support.start(self, [support.SIMULATOR, *flags])
        support.wait_for("the exchange", lambda: support.get(f"{self.base_url}/exchange/status")[0] == 200)
        return process

    def crontab(self, **settings):
        """The example, with what has to be different on this machine and in a hurry."""
        text = with_settings(
            self.example,
            DATABASE_URL_FILE=self.place / "database-url",
            KALSHI_BASE_URL=self.base_url,
            KALSHI_REQUESTS_PER_SECOND="50",
            KALSHI_SETTLE="1s",
            KALSHI_DEADLINE="4s",
            **settings,
        )
        self.assertIn("--sla 5m", text)
        return text.replace("--sla 5m", f"--sla {SLA_SECONDS}s")

    def start_cron(self):
        """The daemon, over what stands in the files `own` and `system`."""
        user = pwd.getpwuid(os.getuid()).pw_name
        command = ["unshare", "--mount", "--fork", "--pid", "--mount-proc", "--kill-child"]
        command += ["sh", "-c", DAEMON, "sh", str(self.place), user]
        if os.getuid() != 0:
            command = ["sudo", "-n", *command]
        log = self.place / "daemon.log"
        with open(log, "wb") as out:
            daemon = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=out)

        def end():
            daemon.stdin.close()
            daemon.wait(timeout=30)

        self.addCleanup(end)
        self.daemon, self.daemon_log = daemon, log

    def query(self, sql):
        """Rows of the database; none before there is one."""
        self.assertIsNone(self.daemon.poll(), f"the daemon needs root: {self.daemon_log.read_text()}")
        if not self.database.exists():
            return []
        connection = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=10)
        try:
            return connection.execute(sql).fetchall()
        except sqlite3.OperationalError:
            return []
        finally:
            connection.close()

    def last_run(self):
        """The id of the newest pass."""
        rows = self.query("select max(run_id) from ingestion_runs where command = 'run'")
        return (rows[0][0] or 0) if rows else 0

    def wait_for_good_passes(self, count):
        """Waits for `count` more passes, and until these and all others are at their end with 0."""
        after = self.last_run()

        def all_good():
            rows = self.query(f"select exit_code from ingestion_runs where command = 'run' and run_id > {after}")
            at_work = self.query("select 1 from ingestion_runs where command = 'run' and finished_at is null")
            return len(rows) >= count and not at_work and all(code == 0 for (code,) in rows)

        support.wait_for(f"{count} good passes; mails: {self.mails()}", all_good, seconds=90)

    def last_three_were_good(self):
        """Whether the newest three finished passes ended with 0."""
        newest = "where command = 'run' and finished_at is not null order by run_id desc limit 3"
        return self.query(f"select exit_code from ingestion_runs {newest}") == [(0,)] * 3

    def mails(self):
        """The mails so far, the oldest first, each as headers and the lines of the body."""
        files = [path for path in (self.place / "mails").iterdir() if not path.name.startswith(".")]
        texts = [path.read_text() for path in sorted(files, key=lambda path: path.stat().st_mtime_ns)]
        split = [text.partition("\n\n") for text in texts]
        return [(headers, body.splitlines()) for headers, _, body in split]

    def trades(self):
        rows = self.query("select count(*) from prediction_market_trades")
        return rows[0][0] if rows else 0

    def test_a_breach_is_mailed_and_nothing_else(self):
        exchange = self.start_exchange()
        (self.place / "own").write_text(self.crontab())
        self.start_cron()

        self.wait_for_good_passes(2)
        stored = self.trades()
        self.wait_for_good_passes(3)
        self.assertGreater(self.trades(), stored)
        self.assertEqual(self.mails(), [], "a pass that is well prints nothing")

        exchange.kill()
        exchange.wait()
        support.wait_for("a mail", self.mails, seconds=60)
        headers, body = self.mails()[0]
        self.assertIn("To: oncall@example.com", headers)
        self.assertRegex(headers, r"Subject: Cron .*kalshi-ingest run -q")
        for market in MARKETS:
            lines = [line for line in body if f" {market} is stale: " in line]
            self.assertEqual(len(lines), 1, f"one line names {market}: {body}")
            self.assertIn(f"(SLA {SLA_SECONDS}s)", lines[0])
        for line in body:
            self.assertIn(" is stale: ", line, "every line of a breach is one")
        self.assertNotIn(str(self.database), headers, "the mail has the crontab's environment, not the secret")

        self.start_exchange()
        support.wait_for("recovery", self.last_three_were_good, seconds=60)
        # A mail of the last bad pass may still be under way: cron sends it once the job is at its end.
        self.wait_for_good_passes(2)
        known = len(self.mails())
        stored = self.trades()
        self.wait_for_good_passes(3)
        self.assertGreater(self.trades(), stored)
        self.assertEqual(len(self.mails()), known, "after the recovery there is silence")

    def test_the_file_in_cron_d_needs_a_user_only(self):
        self.start_exchange()
        metrics = self.place / "metrics/kalshi_ingest.prom"
        text = self.crontab(KALSHI_METRICS_FILE=metrics)
        user = pwd.getpwuid(os.getuid()).pw_name
        ((schedule, command),) = example_jobs(text)
        (self.place / "system").write_text(text.replace(f"{schedule} {command}", f"{schedule} {user} {command}"))
        self.start_cron()
        self.wait_for_good_passes(2)
        self.assertEqual(self.mails(), [])
        self.assertEqual(metrics.stat().st_mode & 0o777, 0o644, "the node exporter is another user")
        self.assertIn("\nkalshi_ingest_last_run_exit_code 0\n", metrics.read_text())

    def run_by_hand(self, command):
        """What cron's shell and environment make of a job line."""
        # cron cuts a line at its first bare percent sign.
        self.assertNotRegex(command, r"(?<!\\)%")
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.place),
            "DATABASE_URL_FILE": str(self.place / "database-url"),
            "KALSHI_BASE_URL": self.base_url,
            "KALSHI_REQUESTS_PER_SECOND": "50",
            "KALSHI_SERIES": re.search(r"^KALSHI_SERIES=(.*)$", self.example, re.MULTILINE)[1],
        }
        here = command.replace("/usr/local/bin/kalshi-ingest", str(support.INGEST))
        return subprocess.run(
            ["/bin/sh", "-c", here], env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    def test_every_line_is_silent_when_all_is_well(self):
        self.start_exchange()
        commands = [command for mark in ("", "# ") for _, command in example_jobs(self.example, mark)]
        self.assertEqual(len(commands), 4)
        for command in commands:
            with self.subTest(command=command):
                done = self.run_by_hand(command)
                self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_what_is_missing_is_mailed(self):
        self.start_exchange()
        ((_, run),) = example_jobs(self.example)
        (completeness,) = [command for _, command in example_jobs(self.example, "# ") if "completeness" in command]
        self.assertEqual(self.run_by_hand(run).stderr, "")
        connection = sqlite3.connect(self.database)
        connection.execute("delete from prediction_market_trades where market_ticker = ?", MARKETS[:1])
        connection.commit()
        connection.close()
        without_healing = self.run_by_hand(completeness.replace(" --heal", ""))
        self.assertRegex(without_healing.stdout, rf"(?m)^{MARKETS[0]} .* 0\.0+$")
        self.assertEqual(self.run_by_hand(completeness).stdout, "", "healed")


if __name__ == "__main__":
    unittest.main()
