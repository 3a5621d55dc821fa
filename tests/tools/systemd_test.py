"""examples/systemd: what systemd says of the units, and the units at work under a real systemd in namespaces of its own."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import support

UNITS = support.ROOT / "examples/systemd"
SERVICES = ("kalshi-ingest.service", "kalshi-ingest-serve.service", "kalshi-ingest-alert@.service")
MARKETS = ("KXBTCD-26NOV22-T99000", "KXHIGHNY-26NOV22-B50")
SLA_SECONDS = 10
# What the program allows itself after SIGTERM: STOP_MAX of src/watchdog.rs.
STOP_SECONDS_MAX = 20

# The outer half owns the control group and ends everything with its standard input; the inner one
# becomes the manager of a machine whose /etc, /run and /var/lib are copies or empty.
OUTER = r"""
set -eu
place=$1
mount -t cgroup2 cgroup2 "$place/cgroup"
own="$place/cgroup/kalshi-ingest-test-$$"
mkdir "$own"
echo $$ >"$own/cgroup.procs"
unshare --mount --fork --pid --mount-proc --cgroup --uts --ipc --kill-child sh -c "$2" sh "$place" &
echo $! >"$place/pid"
read -r _ || true
kill -KILL $! || true
wait $! || true
echo $$ >"$place/cgroup/cgroup.procs"
until find "$own" -depth -type d -exec rmdir {} +; do sleep 0.1; done 2>/dev/null
"""
INNER = r"""
set -eu
place=$1
mount -t tmpfs -o mode=0755 tmpfs "$place/etc"
mkdir "$place/etc/upper" "$place/etc/work"
mount -t overlay -o "lowerdir=/etc,upperdir=$place/etc/upper,workdir=$place/etc/work" overlay /etc
mount -t tmpfs -o mode=0755 tmpfs /run
mount -t tmpfs -o mode=0755 tmpfs /var/lib
mount -t tmpfs -o mode=0755 tmpfs /var/log
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount --bind "$place/bin" /usr/local/bin
mount --bind "$place/mails" /var/mail
mkdir /run/lock
systemd-sysusers "$place/units/kalshi-ingest.sysusers"
rm -rf /etc/kalshi-ingest
cp -r "$place/settings" /etc/kalshi-ingest
chown -R root:root /etc/kalshi-ingest
chmod 0600 /etc/kalshi-ingest/database-url
# A manager shares its mounts with its services: credentials are mounts.
mount --make-rshared /
exec env -i PATH="$PATH" container=test SYSTEMD_UNIT_PATH="$place/units" SYSTEMD_LOG_TARGET=console \
    /lib/systemd/systemd --system --unit=test.target
"""
SENDMAIL = r"""#!/bin/sh
mail=$(mktemp /var/mail/.XXXXXX) && chmod 0644 "$mail" && cat >"$mail" && mv "$mail" "$(echo "$mail" | sed 's,/\.,/,')"
"""


def parse(text):
    """A unit as {section: {key: [values]}}; continued lines are joined."""
    unit = {}
    section = None
    for line in text.replace("\\\n", " ").splitlines():
        line = line.strip()
        if line.startswith("["):
            section = unit.setdefault(line.strip("[]"), {})
        elif line and not line.startswith(("#", ";")):
            key, _, value = line.partition("=")
            section.setdefault(key, []).append(value)
    return unit


def seconds(span):
    """Seconds of `58s`, `15min` and `1min`."""
    number, word = re.fullmatch(r"(\d+)(s|min)", span).groups()
    return int(number) * {"s": 1, "min": 60}[word]


def analyze(*arguments):
    """One call of systemd-analyze; its status and everything it says."""
    done = subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


class UnitsTest(unittest.TestCase):
    """What can be said of the files."""

    def setUp(self):
        self.units = {name: parse((UNITS / name).read_text()) for name in (*SERVICES, "kalshi-ingest.timer")}

    def test_exposure(self):
        # The alert has to be able to send mail, through programs that we do not know.
        for name, threshold in (SERVICES[0], 20), (SERVICES[1], 20), (SERVICES[2], 75):
            status, said = analyze("security", "--offline=true", f"--threshold={threshold}", str(UNITS / name))
            self.assertEqual(status, 0, said)

    def test_the_timer_is_every_minute_and_on_time(self):
        timer = self.units["kalshi-ingest.timer"]["Timer"]
        (calendar,) = timer["OnCalendar"]
        status, said = analyze("calendar", "--iterations=3", "--base-time=2026-11-22 10:00:30", calendar)
        self.assertEqual(status, 0, said)
        for time in "10:01:00", "10:02:00", "10:03:00":
            self.assertIn(time, said)
        self.assertEqual(timer["AccuracySec"], ["1s"])
        self.assertEqual(timer["Persistent"], ["false"])
        self.assertEqual(self.units["kalshi-ingest.timer"]["Install"]["WantedBy"], ["timers.target"])

    def test_a_pass_has_its_time_and_no_more(self):
        service = self.units["kalshi-ingest.service"]["Service"]
        help_text = " ".join(support.ingest("run", "--help", check=0).stdout.split())
        deadline = int(re.search(r"KALSHI_DEADLINE\] \[default: (\d+)s\]", help_text)[1])
        self.assertEqual(service["Type"], ["oneshot"])
        self.assertLess(deadline, seconds(service["TimeoutStartSec"][0]))
        self.assertLess(seconds(service["TimeoutStartSec"][0]), 60)

    def test_what_a_signal_ends_is_no_failure_and_a_breach_is(self):
        for name in SERVICES[:2]:
            service = self.units[name]["Service"]
            self.assertEqual(service["SuccessExitStatus"], ["130 143"])
            self.assertGreater(seconds(service["TimeoutStopSec"][0]), STOP_SECONDS_MAX)
        self.assertEqual(self.units["kalshi-ingest.service"]["Unit"]["OnFailure"], ["kalshi-ingest-alert@%n.service"])

    def test_the_url_is_a_credential(self):
        for name in SERVICES[:2]:
            service = self.units[name]["Service"]
            self.assertEqual(service["LoadCredential"], ["database-url:/etc/kalshi-ingest/database-url"])
            self.assertIn("DATABASE_URL_FILE=%d/database-url", service["Environment"])

    def test_both_services_are_locked_in_alike(self):
        first, second = (self.units[name]["Service"] for name in SERVICES[:2])
        words = ("Private", "Protect", "Restrict", "SystemCall", "Capab", "NoNew", "Memory", "Lock", "Remove", "User")
        for key in {*first, *second}:
            if key.startswith(words):
                self.assertEqual(first.get(key), second.get(key), key)

    def test_every_variable_is_one_of_the_program(self):
        known = "".join(support.ingest(command, "--help", check=0).stdout for command in ("run", "serve"))
        for name in SERVICES[:2]:
            for setting in self.units[name]["Service"]["Environment"]:
                self.assertIn(setting.partition("=")[0], known)


class RunningTest(unittest.TestCase):
    """The units as they are, in a machine where a pass starts every two seconds."""

    def setUp(self):
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="systemd-test-"))
        self.place.chmod(0o755)
        self.addCleanup(shutil.rmtree, self.place, ignore_errors=True)
        for name in ("bin", "cgroup", "etc", "mails", "settings"):
            (self.place / name).mkdir()
        shutil.copy(support.INGEST, self.place / "bin")
        sendmail = self.place / "bin/sendmail"
        sendmail.write_text(SENDMAIL)
        sendmail.chmod(0o755)
        self.exchange_port, self.serve_port = support.free_port(), support.free_port()
        self.base_url = f"http://127.0.0.1:{self.exchange_port}/trade-api/v2"
        self.write_units()
        self.write_settings()
        self.exchange = self.start_exchange()
        self.boot()

    def write_units(self):
        """The units, what they stand on, the journal, and a faster clock for the timer."""
        units = self.place / "units"
        shutil.copytree(UNITS, units)
        targets = "basic", "network-online", "shutdown", "sysinit", "timers"
        for name in targets:
            (units / f"{name}.target").write_text(f"[Unit]\nDescription={name}\n")
        (units / "test.target").write_text("[Unit]\nRequires=systemd-journald.service\nAfter=systemd-journald.service\n")
        for name in ("systemd-journald.service", "systemd-journald.socket"):
            shutil.copy(f"/lib/systemd/system/{name}", units / name)
        faster = units / "kalshi-ingest.timer.d/faster.conf"
        faster.parent.mkdir()
        faster.write_text("[Timer]\nOnCalendar=\nOnCalendar=*:*:0/2\n")

    def write_settings(self):
        settings = {
            "KALSHI_SERIES": "KXBTCD,KXHIGHNY",
            "KALSHI_BASE_URL": self.base_url,
            "KALSHI_SLA": f"{SLA_SECONDS}s",
            "KALSHI_SETTLE": "1s",
            "KALSHI_DEADLINE": "4s",
            "KALSHI_REQUESTS_PER_SECOND": "50",
            "KALSHI_LISTEN": f"127.0.0.1:{self.serve_port}",
        }
        lines = "".join(f"{name}={value}\n" for name, value in settings.items())
        (self.place / "settings/environment").write_text(lines)
        (self.place / "settings/alert").write_text("ALERT_MAILTO=oncall@example.com\n")
        (self.place / "settings/database-url").write_text("sqlite:/var/lib/kalshi-ingest/kalshi.db\n")

    def start_exchange(self):
        """The simulated exchange; its process."""
        markets = [word for ticker in MARKETS for word in ("--ticker", ticker)]
        flags = ["--listen", f"127.0.0.1:{self.exchange_port}", "--trades", "200", "--live", "20", *markets]
        process = support.start(self, [support.SIMULATOR, *flags])
        support.wait_for("the exchange", lambda: support.get(f"{self.base_url}/exchange/status")[0] == 200)
        return process

    def as_root(self, *command):
        """The words of `command`, with root's rights."""
        return list(command) if os.getuid() == 0 else ["sudo", "-n", *command]

    def boot(self):
        """Starts the manager, and waits until it takes orders."""
        command = self.as_root("unshare", "--mount", "sh", "-c", OUTER, "sh", str(self.place), INNER)
        self.console = self.place / "console.log"
        with open(self.console, "wb") as out:
            self.machine = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=out)

        def end():
            self.machine.stdin.close()
            self.machine.wait(timeout=30)

        self.addCleanup(end)
        support.wait_for("systemd", lambda: self.inside("systemctl is-active test.target").stdout == "active\n")

    def inside(self, command):
        """A shell command in the machine, to its end."""
        self.assertIsNone(self.machine.poll(), f"systemd needs root: {self.console.read_text()}")
        pid = (self.place / "pid").read_text().strip()
        # The manager answers processes of its own namespace only, which is the one of the pid's children.
        spaces = f"--pid=/proc/{pid}/ns/pid_for_children", f"--mount=/proc/{pid}/ns/mnt", f"--uts=/proc/{pid}/ns/uts"
        words = self.as_root("nsenter", *spaces, "sh", "-c", command)
        return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)

    def shown(self, unit, name):
        """One property of a unit."""
        return self.inside(f"systemctl show --value --property={name} {unit}").stdout.strip()

    def journal(self):
        return self.inside("journalctl --sync; journalctl --quiet --output=cat --unit=kalshi-ingest.service").stdout

    def passes(self, status):
        """How many passes ended with this exit status."""
        return self.journal().count(f" exit={status}\n")

    def runs_at_work(self):
        """How many passes the database knows to be at work."""
        sql = "select count(*) from ingestion_runs where finished_at is null"
        path = "file:/var/lib/kalshi-ingest/kalshi.db?mode=ro"
        code = f"import sqlite3; print(sqlite3.connect('{path}', uri=True).execute('{sql}').fetchone()[0])"
        return int(self.inside(f'python3 -c "{code}"').stdout)

    def mails(self):
        return [path.read_text() for path in (self.place / "mails").iterdir() if not path.name.startswith(".")]

    def test_the_units_verify(self):
        done = self.inside("cd /etc && systemd-analyze verify --man=no "
                           f"{self.place}/units/kalshi-ingest*.service {self.place}/units/kalshi-ingest.timer")
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_the_timer_passes_fail_alert_and_recover(self):
        self.inside("systemctl start kalshi-ingest.timer")
        support.wait_for("three passes", lambda: self.passes(0) >= 3, seconds=60)
        self.assertEqual(self.mails(), [])
        self.assertEqual(self.shown("kalshi-ingest.service", "Result"), "success")
        owner = self.inside("stat -c '%U %a' /var/lib/kalshi-ingest /var/lib/kalshi-ingest/kalshi.db").stdout
        self.assertEqual(owner, "kalshi-ingest 755\nkalshi-ingest 644\n")
        self.assertEqual(self.inside("stat -c '%U %a' /etc/kalshi-ingest/database-url").stdout, "root 600\n")

        self.exchange.kill()
        self.exchange.wait()
        (mail,) = support.wait_for("a mail", self.mails, seconds=60)
        self.assertRegex(mail, r"\ATo: oncall@example\.com\nSubject: kalshi-ingest\.service on \S+ failed \(3\)\n\n")
        for market in MARKETS:
            lines = [line for line in mail.splitlines() if f" {market} is stale: " in line]
            self.assertEqual(len(lines), 1, f"one line names {market}: {mail}")
        bad = self.passes(3)
        support.wait_for("two more breaches", lambda: self.passes(3) >= bad + 2, seconds=60)
        self.assertEqual(len(self.mails()), 1, "one mail in a quarter of an hour")

        self.start_exchange()
        good = self.passes(0)
        support.wait_for("recovery", lambda: self.passes(0) >= good + 2, seconds=60)
        self.assertEqual(self.shown("kalshi-ingest.service", "Result"), "success")

    def test_a_stop_in_the_middle_is_no_failure(self):
        self.inside("systemctl start kalshi-ingest.service")
        self.assertEqual(self.passes(0), 1, self.journal())
        self.exchange.send_signal(subprocess.signal.SIGSTOP)
        self.inside("systemctl start --no-block kalshi-ingest.service")
        support.wait_for("a pass at work", lambda: self.runs_at_work() == 1)
        self.inside("systemctl stop kalshi-ingest.service")
        self.assertEqual(self.passes(143), 1, self.journal())
        self.assertEqual(self.shown("kalshi-ingest.service", "ActiveState"), "inactive", "failed is what it must not be")
        self.assertEqual(self.mails(), [])

    def test_the_metrics_are_in_the_state_directory(self):
        self.inside("systemctl start kalshi-ingest.service")
        self.assertEqual(self.passes(0), 1, self.journal())
        metrics = "/var/lib/kalshi-ingest/kalshi_ingest.prom"
        self.assertEqual(self.inside(f"stat -c '%U %a' {metrics}").stdout, "kalshi-ingest 644\n")
        self.assertIn("\nkalshi_ingest_last_run_exit_code 0\n", self.inside(f"cat {metrics}").stdout)

    def test_serve_answers_and_comes_back(self):
        self.inside("systemctl start kalshi-ingest.service kalshi-ingest-serve.service")
        alive = f"http://127.0.0.1:{self.serve_port}/livez"
        support.wait_for("an answer", lambda: support.get(alive)[0] == 200)
        first = self.shown("kalshi-ingest-serve.service", "MainPID")
        self.inside("systemctl kill --signal=KILL kalshi-ingest-serve.service")
        support.wait_for("a new process", lambda: self.shown("kalshi-ingest-serve.service", "MainPID") not in ("0", first))
        support.wait_for("an answer", lambda: support.get(alive)[0] == 200)
        self.inside("systemctl stop kalshi-ingest-serve.service")
        self.assertEqual(self.shown("kalshi-ingest-serve.service", "ActiveState"), "inactive")


if __name__ == "__main__":
    unittest.main()
