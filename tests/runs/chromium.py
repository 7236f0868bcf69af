"""Headless Chromium, driven by its DevTools protocol."""

import base64
import contextlib
import json
import shutil
import subprocess
import time

from websockets.sync.client import connect

# What people call it; None where there is none.
PROGRAM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
]
_PATIENCE_S = 60.0


class Page:
    """A page that is open in the browser."""

    def __init__(self, socket):
        """Keeps the connection to the page."""
        self._socket, self._last = socket, 0

    def call(self, method, **parameters):
        """Returns the result of a method of the protocol."""
        self._last += 1
        self._socket.send(json.dumps({"id": self._last, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=_PATIENCE_S))
            if answer.get("id") == self._last:
                return answer["result"]

    def evaluate(self, expression):
        """Returns the value of an expression of JavaScript."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def choose(self, selector, path):
        """Chooses a file, as a user does."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def wait_for(self, expression):
        """Waits until an expression is true."""
        deadline = time.monotonic() + _PATIENCE_S
        while not self.evaluate(expression):
            assert time.monotonic() < deadline, expression
            time.sleep(0.05)

    def picture(self, selector):
        """Returns the bytes of the picture that an image element shows."""
        return base64.b64decode(self.evaluate(f"document.querySelector('{selector}').src")[22:])


@contextlib.contextmanager
def opened(address, folder):
    """Starts the browser on an address; yields its `Page`, and ends it afterwards."""
    command = [PROGRAM, *_FLAGS, f"--user-data-dir={folder}", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        place, browser = _listening(folder / "DevToolsActivePort", process)
        with connect(f"ws://{place}{browser}", max_size=None) as socket:
            targets = Page(socket).call("Target.getTargets")["targetInfos"]
        target = next(target["targetId"] for target in targets if target["type"] == "page")
        with connect(f"ws://{place}/devtools/page/{target}", max_size=None) as socket:
            page = Page(socket)
            page.call("Page.navigate", url=address)
            page.wait_for("document.readyState === 'complete' && location.href !== 'about:blank'")
            yield page
    finally:
        process.terminate()
        process.wait()


def _listening(path, process):
    """Returns host and port, and the path of the browser, which it writes to a file."""
    deadline = time.monotonic() + _PATIENCE_S
    while not (path.exists() and path.read_text().count("\n")):
        assert process.poll() is None, f"{PROGRAM} ended with {process.returncode}"
        assert time.monotonic() < deadline, f"{PROGRAM} does not listen"
        time.sleep(0.05)
    port, browser = path.read_text().split()
    return f"127.0.0.1:{port}", browser
