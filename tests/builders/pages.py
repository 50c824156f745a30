"""Pages as the browser reads them, taken apart without a browser; and a browser where there is one."""

from __future__ import annotations

import base64
import html
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cascade_adapters.pages.packing import Packed


class Page:
    """What a page of ours holds.

    Attributes
    ----------
    text : str
        All of it.
    data : dict
        What the scripts read.
    """

    def __init__(self, path: Path | str):
        self.text = Path(path).read_text("utf-8")
        found = re.search(r'<script type="application/json" id="page-data">(.*?)</script>', self.text, re.S)
        self.data: dict[str, Any] = json.loads(found[1]) if found else {}

    def section(self, name: str) -> str:
        """The words of a section, without tags."""
        found = re.search(rf'<section[^>]*id="{name}".*?</section>', self.text, re.S)
        assert found, f"there is no section {name}"
        return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", found[0])).split())

    def block(self, name: str) -> bytes:
        """A block of traces."""
        found = re.search(rf'id="block-{name}">(.*?)</script>', self.text, re.S)
        assert found, f"there is no block {name}"
        return base64.b64decode(found[1])

    def detail(self, cell: int) -> tuple[np.ndarray, np.ndarray]:
        """dF/F and expected spikes per frame of a cell that is shown in full."""
        at, block = self.data["details"][str(cell)], self.block("details")
        dff, prob = np.frombuffer(block, "<u2", 2 * at["n"], at["at"]).reshape(2, -1)
        return Packed(dff, *at["dff"]).values, Packed(prob, *at["prob"]).values

    def bins(self, cell: int) -> np.ndarray:
        """Lowest and highest dF/F, and highest expected spikes per frame, of each bin of a cell."""
        n = self.data["n_bins"]
        low, high, most = self.data["ranges"][cell]
        rows = np.frombuffer(self.block("bins"), np.uint8, 3 * n, 3 * n * cell).reshape(3, n)
        ranges = ((low, high), (low, high), (0.0, most))
        return np.stack([Packed(row, *ends).values for row, ends in zip(rows, ranges, strict=True)])


def open_browser(folder: Path, width: int = 1400, height: int = 900) -> Any:
    """Chromium without a window, driven by selenium; the test is skipped where either is missing."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    chromium, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("there is no chromium, or no chromedriver, on this computer")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", "--hide-scrollbars", "--disable-dev-shm-usage",
        f"--user-data-dir={folder}", f"--window-size={width},{height}",
    ):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    browser.implicitly_wait(10)  # some parts of a page are made when they are opened
    return browser
