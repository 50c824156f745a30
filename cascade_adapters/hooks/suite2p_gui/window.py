"""What the plugin asks of the main window of suite2p's GUI, and what it changes there: all in this place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cascade_adapters.hooks.suite2p_gui.shown_rates import ShownRates
from cascade_engine.errors import InputError

#: Number of the GUI's button, and row of its colours, for values that somebody else gives.
_CUSTOM_COLOURS = 9

#: What the GUI calls the spikes in its list of traces, and the box that shows them; and what they are called meanwhile.
_NAMES = ("deconvolved", "cascade rates")
_BOX_NAMES = ("deconv [N]", "cascade [N]")

_IN_TITLE = "  -  spike rates of cascade are shown"


class MainWindow:
    """The main window of suite2p's GUI.

    Parameters
    ----------
    gui : object
        ``suite2p.gui.gui2p.MainWindow``.
    """

    def __init__(self, gui: Any):
        self.gui = gui

    @property
    def is_loaded(self) -> bool:
        """Whether a plane was loaded."""
        return bool(getattr(self.gui, "loaded", False)) and hasattr(self.gui, "basename")

    @property
    def folder(self) -> Path:
        """Folder of the plane that is shown, or ``combined``; `InputError` if nothing is loaded."""
        if not self.is_loaded:
            raise InputError("Nothing is loaded: load a plane first (File > Load processed data)")
        return Path(self.gui.basename)

    @property
    def traces(self) -> np.ndarray:
        """F as the window has it, (n_rois, n_frames)."""
        return np.asarray(self.gui.Fcell)

    @property
    def contents(self) -> tuple:
        """The same as long as the window shows the same ROIs of the same folder."""
        return (str(self.folder), id(self.gui.Fcell), len(self.gui.Fcell)) if self.is_loaded else ()

    @property
    def shows_rates(self) -> bool:
        """Whether our rates stand in the place of suite2p's spikes."""
        return isinstance(getattr(self.gui, "Spks", None), ShownRates)

    def show_rates(self, rates_hz: np.ndarray) -> None:
        """Show rates (Hz), shape (n_rois, n_frames), in the place of suite2p's spikes."""
        own = self.gui.Spks.own if self.shows_rates else self.gui.Spks
        self.gui.Spks = ShownRates(rates_hz, own)
        self._redraw()

    def show_own(self) -> None:
        """Show suite2p's spikes again: the very array that was there before."""
        if self.shows_rates:
            self.gui.Spks = self.gui.Spks.own
        self._redraw()

    def take_own(self, spikes: np.ndarray) -> None:
        """From now on these are the spikes that the GUI has loaded: ``spks.npy`` was changed."""
        self.gui.Spks = spikes
        self._redraw()

    def tell_what_is_shown(self) -> None:
        """Let title and labels say whose rates are shown; the GUI itself may have put suite2p's back."""
        index = int(self.shows_rates)
        for label, names in ((self.gui.checkBoxd, _BOX_NAMES), (_Item(self.gui.comboBox, 3), _NAMES)):
            if label.text() == names[1 - index]:
                label.setText(names[index])
        title = self.gui.windowTitle().removesuffix(_IN_TITLE)
        self.gui.setWindowTitle(title + _IN_TITLE * index)

    def colour_by(self, values: np.ndarray, missing: float) -> None:
        """Colour ROIs by one value each, shape (n_rois,), with `missing` for those that have none.

        Raises
        ------
        InputError
            If there is nothing to tell ROIs apart by.
        """
        from suite2p.gui import masks

        values = np.where(np.isfinite(values), values, missing).astype(float)  # the GUI changes its copy
        low, high = np.percentile(values, [1, 99])
        if not high > low:
            raise InputError("All ROIs have the same value, or none: there is nothing to colour them by")
        self.gui.custom_mask = values
        masks.custom_masks(self.gui)
        button = self.gui.colorbtns.button(_CUSTOM_COLOURS)
        button.setEnabled(True)
        button.setChecked(True)
        button.press(self.gui, _CUSTOM_COLOURS)

    def _redraw(self) -> None:
        self.tell_what_is_shown()
        self.gui.mode_change(self.gui.activityMode)  # what it has computed from the spikes, and all plots


class _Item:
    """An item of a list, used as a label."""

    def __init__(self, box: Any, index: int):
        self._box, self._index = box, index

    def text(self) -> str:
        return self._box.itemText(self._index)

    def setText(self, text: str) -> None:
        self._box.setItemText(self._index, text)
