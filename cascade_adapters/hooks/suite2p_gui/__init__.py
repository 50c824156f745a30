"""The plugin for suite2p's GUI: its menu Plugins has an entry that opens a panel for spike rates.

The GUI loads plugins while it starts, and does not catch what goes wrong in them. So nothing is imported here, and
nothing is raised, before the user asks for the panel.
"""

from __future__ import annotations

from typing import Any


class CascadePlugin:
    """What suite2p's GUI loads by the entry point ``suite2p.plugin``.

    Parameters
    ----------
    parent : object
        The GUI's main window.

    Attributes
    ----------
    name : str
        Text of the entry in the menu.
    panel : object or None
        The panel, once it was opened.
    """

    name = "Spike rates (cascade)"

    def __init__(self, parent: Any = None):
        self._parent = parent
        self.panel: Any = None

    def trigger(self, *unused: Any) -> None:
        """Open the panel; the menu calls this. Whatever goes wrong is one line in a dialog, or on the terminal."""
        try:
            if self.panel is None:
                from cascade_adapters.hooks.suite2p_gui.panel import Panel

                self.panel = Panel(self._parent)
            self.panel.open()
        except Exception as error:
            self.panel = None
            _say(self._parent, f"The panel for spike rates cannot be opened: {type(error).__name__}: {error}")


def _say(parent: Any, text: str) -> None:
    import sys

    try:
        from cascade_adapters.hooks.suite2p_gui.messages import show_message

        show_message(parent, text)
    except Exception:  # there is no window to show it in
        print(f"cascade: {text}", file=sys.stderr)
