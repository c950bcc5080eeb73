"""A real browser, told what to do over its debugging protocol. Knows no page.

Source: the Chrome DevTools Protocol, https://chromedevtools.github.io/devtools-protocol/
"""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0")
_PATIENCE_S = 60.0


class Browser:
    """One tab. `told` holds everything that it reported: requests, errors, console messages."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._sent = 0
        self.told: list[dict[str, Any]] = []

    async def do(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for what comes of it. Raises RuntimeError, TimeoutError."""
        self._sent += 1
        await self._socket.send_json({"id": self._sent, "method": method, "params": parameters})
        while True:
            message = await self._next()
            if message.get("id") == self._sent:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                found: dict[str, Any] = message["result"]
                return found

    async def open(self, url: str) -> None:
        """Load a page and wait until it has loaded everything."""
        for domain in ("Page", "Network", "Log", "Runtime"):
            await self.do(f"{domain}.enable")
        await self.do("Emulation.setFocusEmulationEnabled", enabled=True)
        self.told.clear()
        await self.do("Page.navigate", url=url)
        while not self.of("Page.loadEventFired"):
            await self._next()

    async def run(self, script: str) -> Any:
        """What an expression comes to."""
        found = await self.do("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, script
        return found["result"].get("value")

    async def press(self, key: str, code: int) -> None:
        """A key, down and up. `code` is its Windows virtual key code."""
        common = {
            "key": key,
            "code": key,
            "windowsVirtualKeyCode": code,
            "nativeVirtualKeyCode": code,
        }
        text = {"text": "\r"} if key == "Enter" else {}
        await self.do("Input.dispatchKeyEvent", type="keyDown", **common, **text)
        await self.do("Input.dispatchKeyEvent", type="keyUp", **common)

    def of(self, method: str) -> list[dict[str, Any]]:
        """What was reported under one name."""
        return [each["params"] for each in self.told if each["method"] == method]

    async def _next(self) -> dict[str, Any]:
        message: dict[str, Any] = await self._socket.receive_json(timeout=_PATIENCE_S)
        if "method" in message:
            self.told.append(message)
        return message


@asynccontextmanager
async def browsing(profile: Path) -> AsyncIterator[Browser]:
    """Start a browser of its own, with a new profile in a folder, and end it."""
    assert CHROMIUM is not None
    program = await asyncio.create_subprocess_exec(
        *(CHROMIUM, *_OPTIONS, f"--user-data-dir={profile}", "about:blank"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert program.stderr is not None
    try:
        host = await _address(program.stderr)
        rest = asyncio.create_task(program.stderr.read())  # a full pipe would stop it
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://{host}/json/list") as reply:
                tabs = await reply.json()
            address = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
            async with session.ws_connect(address, max_msg_size=0) as socket:
                yield Browser(socket)
    finally:
        program.terminate()
        await program.wait()
    await rest


async def _address(errors: asyncio.StreamReader) -> str:
    """Where it listens, as it says at start. Raises TimeoutError."""
    async with asyncio.timeout(_PATIENCE_S):
        async for line in errors:
            if found := re.search(rb"listening on ws://([\w.:]+)/", line):
                return found[1].decode()
    raise RuntimeError("the browser ended before it listened")
