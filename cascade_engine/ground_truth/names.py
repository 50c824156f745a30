"""What users call a dataset, and the name of its folder."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

from cascade_engine.errors import InputError
from cascade_engine.ground_truth.catalogue import load_catalogue

_MOST_SUGGESTED = 3


def folder_name(name: str, own: Iterable[str] = ()) -> str:
    """Name of the folder of a dataset.

    Parameters
    ----------
    name : str
        Its key (``"DS09"``, or ``"DS9"``), the name of its folder, or the start of a name that fits one dataset alone;
        capital letters make no difference.
    own : iterable of str
        Names of folders to choose from besides those of the public datasets.

    Returns
    -------
    str
        One of `own`, or a folder of the public database; it need not be here.

    Raises
    ------
    InputError
        If no dataset or more than one can be meant: which ones are near.

    Examples
    --------
    >>> folder_name("DS09")
    'DS09-GCaMP6f-m-V1'
    >>> folder_name("ds30-")
    'DS30-GCaMP8f-m-V1'
    >>> folder_name("DS34")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    cascade_engine.errors.InputError: there is no dataset DS34: did you mean ...
    """
    folders = {key: entry.folder for key, entry in load_catalogue().items()}
    folders |= {folder: folder for folder in [*folders.values(), *own]}
    if name in folders:
        return folders[name]
    start = re.sub(r"^ds(?=\d(\D|$))", "ds0", name.lower())
    fitting = {folder: known for known, folder in folders.items() if start and known.lower().startswith(start)}
    exact = [folder for known, folder in folders.items() if known.lower() == start]
    if len(fitting) == 1 or exact:
        return exact[0] if exact else next(iter(fitting))
    near = sorted(fitting.values()) or sorted(get_close_matches(name, folders, n=3))
    meant = f"did you mean {' or '.join(near[:_MOST_SUGGESTED])}? " if near else ""
    raise InputError(f"there is no dataset {name}: {meant}'cascade ground-truth list' shows all")
