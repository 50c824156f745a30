"""Draw ``docs/pictures/suite2p_gui.png``: suite2p's real GUI with the plugin, on a simulated recording.

    python docs/make_gui_picture.py         # needs suite2p[gui]; nothing is shown on the screen

The picture is put together from what the windows draw: the main window with its menu open, and the panel.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from cascade_engine.ground_truth import simulate_dataset

PICTURE = Path(__file__).parent / "pictures" / "suite2p_gui.png"
FRAME_RATE = 30.0  # Hz
N_ROIS, N_FRAMES, SIZE = 48, 2700, (256, 384)


def write_plane(folder: Path, settings: dict[str, Any]) -> Path:
    """Write a plane that suite2p's GUI can open; returns its ``stat.npy``."""
    rng = np.random.default_rng(3)
    levels = np.geomspace(0.8, 6.0, N_ROIS)
    dff = np.stack(
        [
            simulate_dataset(1, N_FRAMES / FRAME_RATE, FRAME_RATE, level, seed).recordings[0].dff
            for seed, level in enumerate(levels)
        ]
    )
    neuropil = 150 + 15 * np.sin(np.arange(N_FRAMES) / 210) + rng.standard_normal((N_ROIS, N_FRAMES))
    traces = rng.uniform(300, 900, (N_ROIS, 1)) * (1 + dff) + 0.7 * (neuropil - neuropil.mean())
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    image, stat = rng.normal(20, 3, SIZE), []
    places = [(row, column) for row in range(24, 240, 40) for column in range(24, 370, 48)]
    for order in rng.permutation(N_ROIS):
        centre = np.array(places[order]) + rng.integers(-8, 9, 2)
        radius = rng.uniform(7, 10)
        inside = np.hypot(y - centre[0], x - centre[1]) < radius
        ypix, xpix = np.nonzero(inside)
        image[inside] += 40
        lam = np.exp(-((ypix - centre[0]) ** 2 + (xpix - centre[1]) ** 2) / radius**2).astype(np.float32)
        place = {"ypix": ypix, "xpix": xpix, "lam": lam, "med": centre.tolist(), "radius": radius}
        looks = {"npix": len(ypix), "npix_norm": 1.0, "aspect_ratio": rng.uniform(1, 1.3), "footprint": 1.0}
        stat.append({**place, **looks, "skew": rng.uniform(1, 4), "compact": rng.uniform(1, 1.2), "std": 1.0})
    folder.mkdir(parents=True)
    np.save(folder / "stat.npy", np.array(stat, dtype=object))
    images = dict.fromkeys(("meanImg", "meanImgE", "Vcorr", "max_proj"), image.astype(np.float32))
    ranges = {"Ly": SIZE[0], "Lx": SIZE[1], "yrange": [0, SIZE[0]], "xrange": [0, SIZE[1]]}
    own = {"fs": FRAME_RATE, "tau": 0.7, "diameter": [16.0, 16.0], "nplanes": 1, "nframes": N_FRAMES}
    np.save(folder / "ops.npy", np.array({**settings, **own, **images, **ranges}, dtype=object))
    np.save(folder / "F.npy", traces.astype(np.float32))
    np.save(folder / "Fneu.npy", neuropil.astype(np.float32))
    np.save(folder / "spks.npy", np.diff(traces, axis=1, prepend=traces[:, :1]).clip(0).astype(np.float32))
    np.save(folder / "iscell.npy", np.tile([1.0, 0.9], (N_ROIS, 1)))
    return folder / "stat.npy"


def draw(stat: Path) -> Any:
    """Open the GUI, run the plugin, show the rates; returns the picture."""
    from qtpy.QtCore import QPoint, QRect
    from qtpy.QtGui import QPainter, QPen
    from qtpy.QtWidgets import QApplication
    from suite2p.gui import gui2p, utils

    application: Any = QApplication.instance() or QApplication([])
    application.setStyle("Fusion")
    application.setPalette(utils.DarkPalette())
    application.setStyleSheet(utils.stylesheet())
    window = gui2p.MainWindow(statfile=str(stat))
    window.resize(1500, 900)
    menu = next(action.menu() for action in window.menuBar().actions() if action.text() == "&Plugins")
    plugin = window.plugins["cascade"]
    plugin.trigger()
    for step in (lambda: None, plugin.panel.run):
        step()
        until = time.monotonic() + 300
        while plugin.panel.job is not None:
            if time.monotonic() > until:
                sys.exit("the plugin has not ended")
            application.processEvents()
            time.sleep(0.01)
    plugin.panel.colour_by_noise()
    window.ichosen, window.imerge = 6, [6]
    window.checkBoxn.setChecked(False)
    window.update_plot()
    window.p3.setXRange(600, 2100)
    plugin.panel.resize(640, 400)
    for _ in range(20):
        application.processEvents()

    picture, panel = window.grab(), plugin.panel.grab()
    bar = window.menuBar()
    menu_at = bar.mapTo(window, bar.actionGeometry(menu.menuAction()).bottomLeft())
    menu.setActiveAction(menu.actions()[0])
    menu.resize(menu.sizeHint())
    panel_at = QPoint(picture.width() - panel.width() - 30, 130)
    painter = QPainter(picture)
    painter.drawPixmap(menu_at, menu.grab())
    painter.drawPixmap(panel_at, panel)
    painter.setPen(QPen(panel.toImage().pixelColor(0, 0).lighter(250), 2))
    painter.drawRect(QRect(panel_at, panel.size()))
    painter.end()
    window.close()
    return picture


def main() -> None:
    """Make the picture."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HOME"] = folder  # suite2p keeps settings of the user there
        import suite2p

        stat = write_plane(Path(folder) / "mouse1" / "suite2p" / "plane0", suite2p.default_settings())
        picture = draw(stat)
    PICTURE.parent.mkdir(exist_ok=True)
    picture.save(str(PICTURE))
    print(f"{PICTURE}: {PICTURE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
