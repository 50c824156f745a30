"""The only writer of models: a folder with a card and ONNX files, which appears whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from cascade_engine._version import __version__
from cascade_engine.errors import InputError
from cascade_engine.file_formats.atomic import replacing
from cascade_engine.networks.configuration import Configuration
from cascade_engine.networks.store import CARD_NAME, FORMAT, Model, load_model

#: What the card says of an ONNX file, its name, and its content.
NetworkFile = tuple[Mapping[str, Any], str, bytes]


def write_model(
    folder: str | os.PathLike,
    family: str,
    config: Configuration,
    networks: Sequence[NetworkFile],
    details: Mapping[str, Any],
    further_files: Mapping[str, bytes] | None = None,
) -> Model:
    """Write a model's folder; it appears whole or not at all.

    Parameters
    ----------
    folder : path
        Folder to create; it must not exist.
    family : str
        Name of the family of networks.
    config : Configuration
        Configuration.
    networks : sequence of NetworkFile
        Its ONNX files.
    details : mapping
        Further entries of the card: origin, training, figures.
    further_files : mapping of str to bytes, optional
        Content of other files to keep in the folder, by name.

    Returns
    -------
    Model
        The model as written.

    Raises
    ------
    InputError
        If the folder exists.
    """
    folder = Path(folder).absolute()
    if folder.exists():
        raise InputError(f"{folder} exists already: remove it or choose another place")
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        entries = []
        for facts, name, content in networks:
            (temporary / name).write_bytes(content)
            entries.append({**facts, "file": name, "sha256": hashlib.sha256(content).hexdigest()})
        for name, content in (further_files or {}).items():
            (temporary / name).write_bytes(content)
        card = {
            "format": FORMAT,
            "family": family,
            "written_by": __version__,
            **details,
            "config": config.to_dict(),
            "networks": entries,
        }
        (temporary / CARD_NAME).write_text(yaml.safe_dump(card, sort_keys=False, width=120), encoding="utf-8")
        temporary.chmod(0o755)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return load_model(folder)


def complete_card(model: Model, **entries: Any) -> Model:
    """Add entries to the card of a model, or replace them; the networks stay as they are."""
    card = {**model.card, **entries}
    with replacing(model.folder / CARD_NAME) as file:
        file.write(yaml.safe_dump(card, sort_keys=False, width=120).encode())
    return load_model(model.folder)
