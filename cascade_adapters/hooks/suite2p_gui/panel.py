"""The panel: what the plane is, running it, and what of the results the GUI shows."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QEvent, QTimer
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMessageBox,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
)

from cascade_adapters.cli.text import describe_inspection, describe_report
from cascade_adapters.containers.suite2p.plane import Suite2pPlane
from cascade_adapters.hooks.suite2p_gui.job import Job, looking, running
from cascade_adapters.hooks.suite2p_gui.messages import show_message
from cascade_adapters.hooks.suite2p_gui.planes import (
    mean_rates_hz,
    noise_levels,
    planes_shown,
    rates_hz,
    results_of,
    spikes_of,
)
from cascade_adapters.hooks.suite2p_gui.window import MainWindow
from cascade_adapters.running.failures import unforeseen
from cascade_adapters.running.report import Report
from cascade_engine.errors import CascadeError, InputError
from cascade_engine.networks.settings import POPULATIONS
from cascade_engine.networks.universal.architecture import INDICATOR_FAMILIES

_FROM_FILE = "as the data say, or not told"

#: How often the panel looks whether the GUI shows something else now.
_LOOK_EVERY_MS = 500


class Panel(QDialog):
    """The panel of the plugin; it belongs to the GUI's main window and closes with it.

    Parameters
    ----------
    gui : object
        The main window of suite2p's GUI.

    Attributes
    ----------
    job : Job or None
        What is under way.
    message : QMessageBox or None
        The last message that was shown.
    """

    def __init__(self, gui: Any):
        super().__init__(gui)
        self.job: Job | None = None
        self.message: QMessageBox | None = None
        self._window = MainWindow(gui)
        self._contents: tuple = ()
        self._note = ""
        self._has_results = self._is_stale = self._are_replaced = False
        self._build()
        gui.installEventFilter(self)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._follow)

    def open(self) -> None:
        """Show the panel, and look at the plane that the GUI shows."""
        self.show()
        self.raise_()
        self._timer.start(_LOOK_EVERY_MS)
        if self.job is None:
            self.look()

    # ---------------------------------------------------------------------------------------------------- the widgets

    def _build(self) -> None:
        self.setWindowTitle("Spike rates (cascade)")
        self.resize(720, 520)
        self.state = QLabel("")
        self.state.setWordWrap(True)
        self.state.setMinimumHeight(2 * self.state.fontMetrics().lineSpacing() + 8)
        self.frame_rate = QLineEdit()
        self.frame_rate.setToolTip("Frames per second of one plane; empty: as suite2p's settings say")
        self.indicator = QComboBox()
        self.indicator.addItems([_FROM_FILE, *sorted({name for names in INDICATOR_FAMILIES for name in names})])
        self.population = QComboBox()
        self.population.addItems(POPULATIONS)
        self.only_cells = QCheckBox("only ROIs that are cells")
        form = QFormLayout()
        form.addRow("Frame rate (Hz), if the settings are wrong", self.frame_rate)
        form.addRow("Indicator", self.indicator)
        form.addRow("Neurons", self.population)
        form.addRow("", self.only_cells)

        self.run_button = _button("Run", "Infer spike rates and write them beside spks.npy", self.run)
        self.cancel_button = _button("Cancel", "End the run; what is not finished is not written", self.cancel)
        self.progress = QProgressBar()
        self.progress.setRange(0, 1000)
        self.rates_button = _button(
            "Show rates", "Show the rates in the place of suite2p's spikes; nothing is saved", self.show_rates
        )
        self.own_button = _button("Show suite2p's spikes", "Show what spks.npy holds", self.show_own)
        self.noise_button = _button(
            "Colour by noise level", "Noise level of each ROI in % per sqrt(Hz): low is good", self.colour_by_noise
        )
        self.rate_colour_button = _button("Colour by mean rate", "Mean rate of each ROI in Hz", self.colour_by_rate)
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)

        layout = QVBoxLayout(self)
        layout.addWidget(self.state)
        layout.addLayout(form)
        layout.addLayout(_row(self.run_button, self.cancel_button, self.progress))
        layout.addLayout(_row(self.rates_button, self.own_button, self.noise_button, self.rate_colour_button))
        layout.addWidget(self.text, stretch=1)

    # ------------------------------------------------------------------------------------------------ what it can do

    def look(self, note: str = "") -> None:
        """Say what the plane is, what a run would do, and which results there are; after a `note`, if there is one."""
        self._note = note
        self._contents = self._window.contents
        self._has_results = self._is_stale = self._are_replaced = False
        self.text.setPlainText("")
        self._attempt(lambda: self._begin(looking(self._planes(), self._options()), self._looked, "Looking ..."))
        self._refresh()

    def run(self) -> None:
        """Infer spike rates in the background."""
        self._note = ""
        self._attempt(lambda: self._begin(running(self._planes(), self._options()), self._ran, "Running ..."))
        self._refresh()

    def cancel(self) -> None:
        """End what is under way."""
        if self.job is not None:
            self.state.setText("Ending ...")
            self.job.cancel()

    def show_rates(self) -> None:
        """Show the rates in the GUI, in the place of suite2p's spikes."""
        self._attempt(self._show_rates)
        self._refresh()

    def show_own(self) -> None:
        """Show suite2p's own spikes again."""
        self._attempt(self._window.show_own)
        self._refresh()

    def colour_by_noise(self) -> None:
        """Colour ROIs by their noise level; those without one are coloured as the highest."""

        def colour() -> None:
            levels = noise_levels(results_of(self._planes()))
            self._window.colour_by(levels, float(np.max(levels, initial=0.0, where=np.isfinite(levels))))

        self._attempt(colour)

    def colour_by_rate(self) -> None:
        """Colour ROIs by their mean rate; those without a prediction are coloured as if they were silent."""
        self._attempt(lambda: self._window.colour_by(mean_rates_hz(results_of(self._planes())), 0.0))

    # ------------------------------------------------------------------------------------------------------- the work

    def _planes(self) -> list[Suite2pPlane]:
        return planes_shown(self._window.folder, self._window.traces)

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {"population": self.population.currentText()}
        rate = self.frame_rate.text().strip()
        if rate:
            try:
                options["frame_rate"] = float(rate)
            except ValueError:
                raise InputError(f"The frame rate must be a number, in Hz, but it is {rate!r}") from None
        if self.indicator.currentText() != _FROM_FILE:
            options["indicator"] = self.indicator.currentText()
        return {**options, "only_cells": self.only_cells.isChecked()}

    def _begin(self, job: Job, done: Any, what: str) -> None:
        if self.job is not None:
            raise InputError("Something is under way already: wait for it to end, or cancel it")
        job.advanced.connect(self._advance)
        job.done.connect(done)
        job.failed.connect(self._failed)
        job.cancelled.connect(self._cancelled)
        self.job = job
        self.progress.setValue(0)
        self.state.setText(what)
        job.start()

    def _advance(self, part: float) -> None:
        self.progress.setValue(round(1000 * part))

    def _end(self) -> None:
        if self.job is not None:
            self.job.wait()  # it is about to end
        self.job = None

    def _looked(self, reports: list[Report]) -> None:
        self._end()
        earlier = [report.earlier_results for report in reports]
        self._has_results = any(state not in (None, "none") for state in earlier)
        self._is_stale = any("stale" in (state or "") for state in earlier)
        self._are_replaced = any((each.deconvolved or {}).get("holds") in ("cascade", "both") for each in reports)
        self._say(reports, [describe_inspection(report) for report in reports])

    def _ran(self, reports: list[Report]) -> None:
        self._end()
        self.progress.setValue(1000)
        self._has_results = self._has_results or any(report.status == "done" for report in reports)
        self._say(reports, [describe_report(report) for report in reports])
        if self._window.contents != self._contents:
            return  # ROIs were merged meanwhile, or another plane was loaded: it will be looked at
        if any("spks.npy" in report.written for report in reports):
            self._attempt(self._take_own)
        if all(report.status == "done" for report in reports):
            self._is_stale = False
            self.show_rates()

    def _say(self, reports: list[Report], texts: list[str]) -> None:
        self.text.setPlainText("\n\n".join(texts))
        failed = [report.message for report in reports if report.status == "failed"]
        if failed:
            self._tell("; ".join(failed))
        self._refresh()

    def _failed(self, text: str) -> None:
        self._end()
        self._refresh()
        self._tell(text)

    def _cancelled(self) -> None:
        self._end()
        self.progress.setValue(0)
        self.look("Cancelled: what was not finished was not written. ")

    def _take_own(self) -> None:
        planes = self._planes()
        self._window.take_own(spikes_of(planes, self._window.traces.shape[1]))
        self._are_replaced = any(plane.has_replaced_spikes() for plane in planes)

    def _show_rates(self) -> None:
        results = results_of(self._planes())
        self._window.show_rates(rates_hz(results, self._window.traces.shape[1]))

    def _attempt(self, action: Any) -> None:
        """Do something; whatever goes wrong is one line in a dialog."""
        try:
            action()
        except CascadeError as error:
            self._tell(str(error))
        except Exception as error:
            self._tell(unforeseen(error, "cascade"))

    def _tell(self, text: str) -> None:
        self.message = show_message(self, text)

    # -------------------------------------------------------------------------------------------- following the window

    def _follow(self) -> None:
        """Look again if the GUI shows another plane, or other ROIs."""
        if self.job is None and self.isVisible() and self._window.contents != self._contents:
            self.look()
        else:
            self._refresh()

    def _refresh(self) -> None:
        if self._window.is_loaded:
            self._window.tell_what_is_shown()
        is_free = self.job is None
        self.run_button.setText("Run again" if self._has_results else "Run")
        self.run_button.setEnabled(is_free and self._window.is_loaded)
        self.cancel_button.setEnabled(not is_free)
        for button in (self.noise_button, self.rate_colour_button):
            button.setEnabled(is_free and self._has_results)
        self.rates_button.setEnabled(is_free and self._has_results and not self._window.shows_rates)
        self.own_button.setEnabled(self._window.shows_rates)
        if is_free:
            self.state.setText(self._state())

    def _state(self) -> str:
        if not self._window.is_loaded:
            return "Nothing is loaded."
        stale = " They are stale: 'Run again'." if self._is_stale else ""
        own = "what spks.npy holds, rates of cascade" if self._are_replaced else "suite2p's own spikes"
        if self._window.shows_rates:
            return (
                f"{self._note}The GUI shows rates of cascade, scaled to the height of F.{stale} "
                f"If ROIs are merged, drawn or saved, it takes {own}."
            )
        there = "There are results: 'Show rates' shows them." if self._has_results else "There are no results yet."
        return f"{self._note}The GUI shows {own}. {there}{stale}"

    def eventFilter(self, watched: Any, event: Any) -> bool:
        """End what is under way before the main window closes."""
        if event.type() == QEvent.Type.Close:
            self._timer.stop()
            if self.job is not None:
                self.job.cancel()
                self.job.wait()
        return bool(super().eventFilter(watched, event))


def _button(text: str, hint: str, action: Any) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(hint)
    button.setAutoDefault(False)
    button.clicked.connect(lambda checked=False: action())
    return button


def _row(*widgets: Any) -> QHBoxLayout:
    row = QHBoxLayout()
    for widget in widgets:
        row.addWidget(widget)
    return row
