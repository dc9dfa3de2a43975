"""A real headless Chromium for tests of the page, used by its keyboard alone, and what it saw."""

# selenium is typed in part (4.51.0, 2026-11).
# pyright: reportUnknownMemberType=false

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

__all__ = ["CHECKS", "MISSING", "Browser", "Keys"]

_T = TypeVar("_T")
_CHROMIUM, _DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
MISSING = (
    ""
    if _CHROMIUM and _DRIVER
    else "there is no chromium or no chromedriver: install chromium and chromium-driver"
)
"""Why there is no browser; empty: there is one."""

_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    # A machine's proxy is for other addresses than this machine's own.
    "--no-proxy-server",
)
_WAIT_SECONDS = 20
_TABS = 120
_HELD = frozenset({Keys.CONTROL, Keys.SHIFT})
CHECKS = (Path(__file__).parent / "page_checks.js").read_text()
_WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(event.violatedDirective);
});
"""


class Browser:
    """One window; `open` begins anew, and forgets what was seen before."""

    def __init__(self, folder: Path) -> None:
        self.downloads = folder / "downloads"
        self.downloads.mkdir()
        options = webdriver.ChromeOptions()
        options.binary_location = str(_CHROMIUM)
        for flag in (*_FLAGS, f"--user-data-dir={folder / 'profile'}"):
            options.add_argument(flag)
        logs = {"browser": "ALL", "performance": "ALL"}
        options.set_capability("goog:loggingPrefs", logs)
        service = webdriver.ChromeService(executable_path=str(_DRIVER))
        self.driver = webdriver.Chrome(options=options, service=service)
        self.devtools("Page.addScriptToEvaluateOnNewDocument", source=_WATCH)
        self.devtools(
            "Browser.setDownloadBehavior", behavior="allow", downloadPath=str(self.downloads)
        )

    def quit(self) -> None:
        self.driver.quit()

    def devtools(self, command: str, **arguments: Any) -> None:
        self.driver.execute_cdp_cmd(command, arguments)

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a function's body in the page and return its JSON value."""
        return self.driver.execute_script(script, *arguments)

    def open(self, url: str) -> None:
        self.driver.get("about:blank")
        self.driver.get_log("browser")
        self.driver.get_log("performance")
        self.driver.get(url + "/")
        self.wait(lambda: self.run("return document.querySelectorAll('#fields input').length > 0"))

    def look(self, width: int, *, dark: bool) -> None:
        """Set the window's width in pixels, and the scheme that the person prefers."""
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            **{"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False},
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.devtools("Emulation.setEmulatedMedia", features=[scheme])

    def wait(self, found: Callable[[], _T]) -> _T:
        """Ask until there is something; return it."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while not (value := found()):
            assert time.monotonic() < deadline, self.text("main")
            time.sleep(0.03)
        return value

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        """Return the visible text of the first element."""
        return self.driver.find_element(By.CSS_SELECTOR, selector).text

    def texts(self, selector: str) -> list[str]:
        return [element.text for element in self.all(selector)]

    def table(self, selector: str) -> list[list[str]]:
        """Return the text of each cell of a table's body, line ends as spaces."""
        script = """return [...document.querySelectorAll(arguments[0] + " tbody tr")].map(
            (row) => [...row.cells].map((cell) => cell.innerText.replace(/\\s+/g, " ").trim()))"""
        return self.run(script, selector)

    def press(self, *keys: str) -> None:
        """Press keys, one after the other, where the focus is; Control and Shift are held."""
        # Not `send_keys` of the element: for a file's input that means to choose a file.
        actions = ActionChains(self.driver)
        for key in keys:
            actions = actions.key_down(key) if key in _HELD else actions.send_keys(key)
        for key in _HELD.intersection(keys):
            actions = actions.key_up(key)
        actions.perform()

    def insert(self, text: str) -> None:
        """Put text where the focus is, as pasting does."""
        self.devtools("Input.insertText", text=text)

    def focused(self, selector: str) -> bool:
        return self.run("return document.activeElement.matches(arguments[0])", selector)

    def tab_to(self, selector: str, *, back: bool = False) -> None:
        """Press Tab until the focus is on what `selector` matches."""
        for _ in range(_TABS):
            self.press(*((Keys.SHIFT, Keys.TAB) if back else (Keys.TAB,)))
            if self.focused(selector):
                return
        raise AssertionError(f"Tab does not lead to {selector}")

    def wait_for_focus(self, selector: str) -> None:
        self.wait(lambda: self.focused(selector))

    def console(self) -> list[str]:
        """Return the console's errors and warnings since the last call."""
        entries: list[dict[str, Any]] = self.driver.get_log("browser")
        return [e["message"] for e in entries if e["level"] in ("SEVERE", "WARNING")]

    def violations(self) -> list[str]:
        """Return the directives of the policy that were violated since the page was opened."""
        return self.run("return window.violations")

    def requests(self) -> list[dict[str, Any]]:
        """Return the requests since the last call: `url`, `method`, `headers`, `postData`."""
        messages = [
            json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")
        ]
        return [
            message["params"]["request"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]

    def asked(self) -> list[list[dict[str, Any]]]:
        """Return the records of each POST since the last call of this or `requests`."""
        return [
            json.loads(request["postData"])
            for request in self.requests()
            if request["method"] == "POST"
        ]
