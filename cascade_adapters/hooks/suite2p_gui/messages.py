"""Messages in dialogs that do not stop the GUI."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QMessageBox, QWidget


def show_message(parent: QWidget | None, text: str) -> QMessageBox:
    """Show a line of text until the user has closed it; returns the dialog."""
    box = QMessageBox(QMessageBox.Icon.Warning, "cascade", text, QMessageBox.StandardButton.Ok, parent)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.open()
    return box
