"""What the tool tests stand on: the built programs, free ports, waiting, and processes that end with their test."""

import os
import pathlib
import socket
import subprocess
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILT = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
INGEST = BUILT / "kalshi-ingest"
SIMULATOR = BUILT / "kalshi-simulator"


def clean_environment(**more):
    """The environment without what would configure the programs under test."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KALSHI_", "PG", "DATABASE_"))}
    kept.pop("RUST_LOG", None)
    return {**kept, **{name: str(value) for name, value in more.items()}}


def free_port():
    """A port of loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(what, check, seconds=30.0, every=0.1):
    """Calls `check` until it answers with something true, which is the answer; fails naming `what`."""
    until = time.monotonic() + seconds
    last = None
    while time.monotonic() < until:
        try:
            found = check()
            if found:
                return found
            last = found
        except (OSError, ValueError, KeyError, IndexError) as error:
            last = error
        time.sleep(every)
    raise AssertionError(f"waited {seconds} s in vain for {what}; last seen: {last!r}")


def get(url, timeout=5.0):
    """Status, headers and body of a GET, whatever the status."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


def start(test, command, log=None, **options):
    """A process that ends with the test. Its output goes to the file `log`, or nowhere."""
    with open(log or os.devnull, "ab") as out:
        process = subprocess.Popen([str(part) for part in command], stdout=out, stderr=out, **options)

    def end():
        process.kill()
        process.wait()

    test.addCleanup(end)
    return process


def simulator(test, *flags):
    """Serves a simulated exchange; its base URL, and the process."""
    port = free_port()
    process = start(test, [SIMULATOR, "--listen", f"127.0.0.1:{port}", *flags])
    base_url = f"http://127.0.0.1:{port}/trade-api/v2"
    wait_for("the simulated exchange", lambda: get(f"{base_url}/exchange/status")[0] == 200)
    return base_url, process


def ingest(*arguments, check=None, **variables):
    """One command to its end, as text; `check` is the exit status that it has to have."""
    done = subprocess.run(
        [str(INGEST), *[str(argument) for argument in arguments]],
        env=clean_environment(**variables),
        capture_output=True,
        text=True,
        timeout=120,
    )
    if check is not None and done.returncode != check:
        raise AssertionError(f"exit {done.returncode} instead of {check}:\n{done.stdout}{done.stderr}")
    return done
