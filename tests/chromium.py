"""A headless Chromium driven through its own debugging pipe, for tests of the report's page.

Chromium reads commands (JSON, ended by a zero byte) from file 3 and writes answers and events to file 4.
The page is opened from disk with the network taken away; what it logs, and what it tries to fetch, is kept.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

EXECUTABLE = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
PATIENCE = 60
"""Seconds that Chromium may take to answer."""
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-pipe",
    "--force-prefers-reduced-motion",
)  # fmt: skip


class Browser:
    """One page. ``errors`` collects what went wrong in it, ``requests`` every address but its own and data."""

    def __init__(self, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        assert EXECUTABLE is not None
        self.errors: list[str] = []
        self.requests: list[str] = []
        self._profile = tempfile.mkdtemp()
        self._buffer = b""
        self._number = 0
        self._loaded = False
        commands, self._write = os.pipe()
        self._read, events = os.pipe()
        os.set_inheritable(commands, True)
        os.set_inheritable(events, True)
        # The shell puts the two pipes where Chromium looks for them, whatever their numbers are here.
        shell = f'exec "$@" 3<&{commands} 4>&{events}'
        arguments = [EXECUTABLE, *_FLAGS, f"--user-data-dir={self._profile}", "about:blank"]
        self._process = subprocess.Popen(
            ["bash", "-c", shell, "bash", *arguments], pass_fds=(commands, events), stderr=subprocess.DEVNULL
        )
        os.close(commands)
        os.close(events)
        target = next(t for t in self._send("Target.getTargets")["targetInfos"] if t["type"] == "page")
        attached = self._send("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session: str | None = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._send(f"{domain}.enable")
        self._send(
            "Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0
        )
        self._send("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce"}])  # fmt: skip
        self.resize(width, height)

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.terminate()
        self._process.wait(30)
        os.close(self._write)
        os.close(self._read)
        shutil.rmtree(self._profile, ignore_errors=True)

    def open(self, file: Path, fragment: str = "") -> None:
        """Open a page from disk, anew, and wait until it is there."""
        for address in ("about:blank", file.resolve().as_uri() + fragment):
            self._loaded = False
            self._send("Page.navigate", url=address)
            while not self._loaded:
                self._receive()

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression (a promise is waited for)."""
        found = self._send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise AssertionError(found["exceptionDetails"]["exception"].get("description", script))
        return found["result"].get("value")

    def press(self, key: str, times: int = 1) -> None:
        """Press a key as a user does: Tab, Enter, ArrowLeft, …"""
        codes = {"Tab": 9, "Enter": 13, " ": 32, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowUp": 38,
                 "ArrowRight": 39, "ArrowDown": 40}  # fmt: skip
        typed = {"Enter": "\r", " ": " "}.get(key)
        for _ in range(times):
            event: dict[str, Any] = {"key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
            self._send("Input.dispatchKeyEvent", type="keyDown", **event, **({"text": typed} if typed else {}))
            self._send("Input.dispatchKeyEvent", type="keyUp", **event)

    def click(self, selector: str) -> None:
        """Bring an element into view and click in its middle."""
        box = self.run(f"""(() => {{ const e = document.querySelector({json.dumps(selector)});
            e.scrollIntoView({{block: "center"}}); const r = e.getBoundingClientRect();
            return {{x: r.x + r.width / 2, y: r.y + r.height / 2}}; }})()""")
        for kind in ("mousePressed", "mouseReleased"):
            self._send("Input.dispatchMouseEvent", type=kind, **box, button="left", clickCount=1)

    def resize(self, width: int, height: int) -> None:
        self._send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def screenshot(self, file: Path) -> None:
        """What is in view, as a PNG."""
        file.write_bytes(base64.b64decode(self._send("Page.captureScreenshot", format="png")["data"]))

    def pdf(self, file: Path) -> None:
        """What the page prints."""
        file.write_bytes(base64.b64decode(self._send("Page.printToPDF", printBackground=True)["data"]))

    # -- the pipe ----------------------------------------------------------------------------------

    def _send(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        number = self._number
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if getattr(self, "_session", None):
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == number:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def _receive(self) -> dict[str, Any]:
        """The next message; events are noted."""
        while b"\0" not in self._buffer:
            assert select.select([self._read], [], [], PATIENCE)[0], "Chromium does not answer"
            piece = os.read(self._read, 1 << 20)
            assert piece, "Chromium has ended"
            self._buffer += piece
        line, self._buffer = self._buffer.split(b"\0", 1)
        message = json.loads(line)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, event: str, facts: dict[str, Any]) -> None:
        if event == "Page.loadEventFired":
            self._loaded = True
        elif event == "Runtime.exceptionThrown":
            self.errors.append(str(facts["exceptionDetails"].get("exception", {}).get("description")))
        elif event == "Runtime.consoleAPICalled":
            self.errors.append(" ".join(str(a.get("value")) for a in facts["args"]))
        elif event == "Log.entryAdded":
            self.errors.append(facts["entry"]["text"])
        elif event == "Network.requestWillBeSent":
            address = facts["request"]["url"]
            if not address.startswith("data:") and facts.get("type") != "Document":
                self.requests.append(address)
