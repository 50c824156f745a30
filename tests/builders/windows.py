"""The rules of Windows for files that are open, on Linux, which tells what this process has open."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_OPEN = Path("/proc/self/fd")

needs_list_of_open_files = pytest.mark.skipif(not _OPEN.is_dir(), reason="needs the list of open files of Linux")


def open_paths() -> set[str]:
    """Everything that this process has open."""
    found = set()
    for handle in _OPEN.iterdir():
        try:
            found.add(os.readlink(handle))
        except OSError:  # it was that of the list
            continue
    return found


def refuse_open_files(patch: pytest.MonkeyPatch) -> None:
    """Let files that are open be neither renamed nor replaced nor removed, nor the folders that they lie in."""

    def guarded(function: Callable) -> Callable:
        def call(*paths: Any, **options: Any) -> Any:
            # removing a whole folder goes by names within it
            folder = options.get("dir_fd")
            start = "" if folder is None else os.readlink(_OPEN / str(folder))
            places = [os.path.realpath(os.path.join(start, os.fspath(path))) for path in paths]
            held = {path for path in open_paths() if not path.endswith(".lock")}  # there is other code for these
            for place in places:
                if any(path == place or (path.startswith(f"{place}/") and Path(path).is_file()) for path in held):
                    raise PermissionError(13, "used by this very process, as Windows would say", place)
            return function(*paths, **options)

        return call

    for name in ("rename", "replace", "unlink", "remove"):
        patch.setattr(os, name, guarded(getattr(os, name)))
    for name in ("O_DIRECTORY", "copy_file_range"):
        patch.delattr(os, name, raising=False)
