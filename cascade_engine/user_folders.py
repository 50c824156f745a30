"""Where downloads and imported models live."""

from __future__ import annotations

from pathlib import Path


def user_folder(name: str) -> Path:
    """Folder for the user's own data of one kind, in the platform's usual place; it need not exist."""
    import platformdirs

    return platformdirs.user_data_path("cascade-spikes", appauthor=False) / name
