"""suite2p's real GUI without a screen, and planes that it can open."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.builders.suite2p_folders import make_plane, save_settings
from tests.builders.torchvision import declare_operators

#: Pixels between two ROIs.
_SPACING = 14


def import_suite2p(home: Path, patch: pytest.MonkeyPatch) -> Any:
    """The real package, which creates a folder in the home directory; skips where it, or what it needs, is missing."""
    pytest.importorskip("torch", reason="suite2p is not installed")
    patch.setenv("HOME", str(home))
    declare_operators()
    module = pytest.importorskip("suite2p", reason="suite2p is not installed")
    if "settings" not in module.run_s2p.__code__.co_varnames:
        pytest.skip("needs suite2p 1.0 or newer")
    return module


def import_gui(home: Path, patch: pytest.MonkeyPatch) -> Any:
    """The module with the GUI's main window, drawing to memory; skips where the GUI is not installed."""
    suite2p = import_suite2p(home, patch)
    patch.setenv("QT_QPA_PLATFORM", os.environ.get("QT_QPA_PLATFORM") or "offscreen")
    for name in ("qtpy", "pyqtgraph", "superqt", "rastermap"):
        pytest.importorskip(name, reason="suite2p's GUI is not installed: suite2p[gui]")
    qtpy = pytest.importorskip("qtpy.QtWidgets", reason="there is no Qt: suite2p[gui]", exc_type=ImportError)
    gui2p = pytest.importorskip("suite2p.gui.gui2p")
    gui2p.application = qtpy.QApplication.instance() or qtpy.QApplication([])
    gui2p.default_settings = suite2p.default_settings
    return gui2p


def make_gui_plane(folder: Path, n_rois: int = 6, settings: dict[str, Any] | None = None, **options: Any) -> Path:
    """A plane as of `make_plane`, with masks, images and settings that the GUI wants; returns ``stat.npy``.

    `settings` are those of suite2p (``suite2p.default_settings()``).
    """
    plane = make_plane(folder, n_rois=n_rois, generation="none", **options)
    n_columns = int(np.ceil(np.sqrt(n_rois)))
    size = _SPACING * (n_columns + 1)
    y, x = np.mgrid[:size, :size]
    stat, image = [], np.zeros((size, size), np.float32)
    for roi in range(n_rois):
        centre = [_SPACING * (1 + part) for part in divmod(roi, n_columns)]
        inside = np.hypot(y - centre[0], x - centre[1]) < 4.5
        ypix, xpix = np.nonzero(inside)
        image[inside] = 100 + roi
        shape = {"med": centre, "radius": 4.5, "npix": len(ypix), "npix_norm": 1.0, "aspect_ratio": 1.0 + 0.01 * roi}
        numbers = {"skew": 1.0 + roi, "compact": 1.0 + 0.1 * roi, "std": 1.0, "footprint": 1.0}
        lam = np.ones(len(ypix), np.float32)
        stat.append({"ypix": ypix, "xpix": xpix, "lam": lam, "overlap": np.zeros(len(ypix), bool), **shape, **numbers})
    save_settings(folder / "stat.npy", np.array(stat, dtype=object))
    images = {**dict.fromkeys(("meanImg", "meanImgE", "Vcorr", "max_proj"), image), "Ly": size, "Lx": size}
    ranges = {"yrange": [0, size], "xrange": [0, size], "nframes": plane.fluorescence.shape[1]}
    own = {
        "fs": options.get("frame_rate") or 30.0,
        "tau": 0.7,
        "diameter": [9.0, 9.0],
        "batch_size": 500,
        "nchannels": 1,
    }
    save_settings(folder / "ops.npy", {**(settings or {}), **own, **images, **ranges, "nplanes": 1})
    return folder / "stat.npy"


def wait_until(gui: Any, condition: Callable[[], bool], limit_s: float = 120.0) -> None:
    """Let the GUI work until a condition holds; fails if it never does."""
    until = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < until, "the GUI has not got there"
        gui.application.processEvents()
        time.sleep(0.005)
