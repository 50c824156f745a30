"""Draw ``docs/pictures/report.png``: the page of a simulated recording, as it looks in a browser.

    python docs/make_report_picture.py

needs selenium, chromium and chromedriver (extra ``test``); half a minute.
"""

from __future__ import annotations

import base64
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
from selenium import webdriver

import cascade_adapters
from cascade_engine.ground_truth import simulate_dataset

#: Size of the picture in pixels.
WIDTH, HEIGHT = 1280, 2150

PICTURE = Path(__file__).parent / "pictures" / "report.png"


def make_recording(folder: Path) -> None:
    """A plane of suite2p with 60 simulated cells of different noise."""
    plane = folder / "mouse7" / "suite2p" / "plane0"
    plane.mkdir(parents=True)
    rng = np.random.default_rng(1)
    parts = [simulate_dataset(15, 600.0, 30.0, level, seed) for seed, level in enumerate((1.5, 2.2, 3.0, 4.5))]
    dff = np.stack([recording.dff for part in parts for recording in part.recordings])
    baseline = rng.uniform(300.0, 1500.0, (len(dff), 1))
    neuropil = rng.uniform(100.0, 250.0, (len(dff), 1)) + 10.0 * rng.standard_normal(dff.shape)
    fluorescence = baseline * (1.0 + dff) + 0.7 * neuropil
    fluorescence[[11, 40]] = 0.0  # two ROIs without a signal
    np.save(plane / "F.npy", fluorescence.astype(np.float32))
    np.save(plane / "Fneu.npy", neuropil.astype(np.float32))
    bad = np.zeros(dff.shape[1], dtype=bool)
    bad[6000:6120] = bad[12_000:12_030] = True
    np.save(plane / "ops.npy", np.array({"fs": 30.0, "neucoeff": 0.7, "badframes": bad}), allow_pickle=True)


def photograph(page: Path, picture: Path) -> None:
    """Open a page in Chromium and save how its upper part looks."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    with tempfile.TemporaryDirectory() as profile:
        for argument in (
            "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
            f"--user-data-dir={profile}", f"--window-size={WIDTH},{HEIGHT}",
        ):  # fmt: skip
            options.add_argument(argument)
        browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
        try:
            browser.get(page.as_uri())
            clip = {"x": 0, "y": 0, "width": WIDTH, "height": HEIGHT, "scale": 1}
            shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
        finally:
            browser.quit()
    picture.parent.mkdir(exist_ok=True)
    picture.write_bytes(base64.b64decode(shot["data"]))


def main() -> None:
    """Make the recording, run, report, photograph."""
    with tempfile.TemporaryDirectory() as folder:
        make_recording(Path(folder))
        os.chdir(folder)  # paths on the page are then short
        cascade_adapters.run("mouse7")
        (page,) = cascade_adapters.report("mouse7")
        photograph(page.absolute(), PICTURE)
        os.chdir(PICTURE.parent)
    print(f"picture: {PICTURE}")


if __name__ == "__main__":
    main()
