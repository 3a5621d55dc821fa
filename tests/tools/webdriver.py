"""A browser for tests: as much of the WebDriver protocol as they need, spoken to Debian's chromedriver.

Sources: https://www.w3.org/TR/webdriver2/ for the commands, https://chromedriver.chromium.org/capabilities for what is Chrome's own.
"""

import base64
import json
import pathlib
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request

import support

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
TAB, ENTER, SPACE, DOWN = "\ue004", "\ue007", "\ue00d", "\ue015"
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


class Refused(Exception):
    """The driver could not do what was asked for."""


class Browser:
    """One headless Chromium with an empty profile, driven over HTTP."""

    def __init__(self, profile, port):
        self._base = f"http://127.0.0.1:{port}"
        support.wait_for("chromedriver", lambda: self._call("GET", "/status")["ready"])
        options = {"args": [*FLAGS, f"--user-data-dir={profile}"]}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        session = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._base += f"/session/{session['sessionId']}"

    @classmethod
    def start(cls, add_cleanup):
        """A browser that ends with the test or the class whose `addCleanup` this is."""
        driver_path = shutil.which("chromedriver")
        if driver_path is None:
            raise AssertionError("chromedriver is missing: apt-get install chromium chromium-driver")
        profile = tempfile.mkdtemp(prefix="page-test-")
        add_cleanup(shutil.rmtree, profile, ignore_errors=True)
        port = support.free_port()
        driver = subprocess.Popen(
            [driver_path, f"--port={port}"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        add_cleanup(_end, driver)
        browser = cls(profile, port)
        add_cleanup(browser.quit)
        return browser

    def _call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._base + path, data=data, method=method, headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            told = json.loads(error.read())["value"]
            raise Refused(f"{path}: {told['error']}: {told['message'].splitlines()[0]}") from None

    def quit(self):
        """Ends the browser; the driver goes on until its own cleanup."""
        self._call("DELETE", "")

    def open(self, url):
        """Loads `url` and waits until it has loaded."""
        self._call("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        """What the body of a function `script` returns in the page."""
        return self._call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def cdp(self, command, **parameters):
        """One command of the Chrome DevTools protocol."""
        return self._call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def console(self):
        """What the console and the network have said since the last call."""
        return self._call("POST", "/se/log", {"type": "browser"})

    def find(self, css):
        """The first element that the selector matches; refuses when there is none."""
        return self._call("POST", "/element", {"using": "css selector", "value": css})[ELEMENT]

    def click(self, css):
        """Clicks as a pointer does: refused when something lies above the element."""
        self._call("POST", f"/element/{self.find(css)}/click", {})

    def type(self, css, text):
        """Types into the element."""
        self._call("POST", f"/element/{self.find(css)}/value", {"text": text})

    def press(self, *keys):
        """Presses keys wherever the focus is."""
        strokes = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._call("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": strokes}]})

    def screenshot(self, path, whole=False):
        """Writes a PNG of the window, or of the whole page."""
        shot = self.cdp("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        pathlib.Path(path).write_bytes(base64.b64decode(shot["data"]))

    def look_like(self, width, height, scheme="light", is_phone=False):
        """The size of the window and the colour scheme that the page finds."""
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2 if is_phone else 1, mobile=is_phone)
        features = [{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"}]
        self.cdp("Emulation.setEmulatedMedia", media="", features=features)

    def before_load(self, script):
        """Runs `script` before those of each page loaded from now on; the answer undoes that."""
        known = self.cdp("Page.addScriptToEvaluateOnNewDocument", source=script)
        return lambda: self.cdp("Page.removeScriptToEvaluateOnNewDocument", **known)


def _end(process):
    process.kill()
    process.wait()
