"""The names of the published models, each of which stands for settings of the universal model."""

from __future__ import annotations

import re
from typing import Any

from cascade_engine.errors import ModelError

#: Names of the published families, the population that they were trained on, and its indicator where there is one.
_FAMILIES = {
    r"Global(?:_EXC)?": ("principal", None),
    r"Global_INH": ("interneurons", None),
    r"GC8(?:_EXC)?": ("principal", "jGCaMP8"),
    r"GC8f(?:_EXC)?": ("principal", "jGCaMP8f"),
    r"GC8m(?:_EXC)?": ("principal", "jGCaMP8m"),
    r"GC8s(?:_EXC)?": ("principal", "jGCaMP8s"),
    r"Interneurons_GC8\+?": ("interneurons", None),
    r"Spinal_cord_excitatory": ("principal", "GCaMP6s"),
    r"Spinal_cord_inhibitory": ("interneurons", "GCaMP6s"),
    r"OGB(?:_zf)?_pDp": ("principal", "OGB-1"),
    r"Zebrafish": ("principal", None),
    r"GCaMP6f(?:_mouse)?": ("principal", "GCaMP6f"),
    r"GCaMP6s": ("principal", "GCaMP6s"),
    r"R-CaMP": ("principal", "R-CaMP1.07"),
    r"(?:Cascade_)?Universal": ("principal", None),
}

#: What follows the family, each at most once and in any order; newer names have ``100ms`` for ``smoothing100ms``.
_PARTS = {
    "frame_rate": re.compile(r"_(\d+(?:\.\d+)?)Hz"),
    "smoothing": re.compile(r"_(?:smoothing_?)?(\d+)ms"),
    "causal": re.compile(r"_(causalkernel)"),
    "noise": re.compile(r"_(high_noise)"),
}

#: Parts of names of models that look at few frames, or none, behind the one that they predict.
_NEARLY_CAUSAL = ("Online_model", "asymmetric_window")


def published_settings(name: str) -> dict[str, Any] | None:
    """What a published model's name says.

    Parameters
    ----------
    name : str
        For example ``Global_EXC_12.5Hz_smoothing100ms_causalkernel``.

    Returns
    -------
    dict or None
        ``asked_for`` (the name), ``population``, ``frame_rate`` (Hz), ``kernel`` and, if the name has them,
        ``indicator`` and ``smoothing`` (s); None if it is not the name of a published model.

    Raises
    ------
    ModelError
        For models that predict while the recording runs, which the universal model cannot stand for.

    Examples
    --------
    >>> published_settings("Global_INH_30Hz_smoothing50ms")["population"]
    'interneurons'
    """
    if any(part in name for part in _NEARLY_CAUSAL):
        raise ModelError(
            f"{name} needs few frames after the one that it predicts; the universal model looks at seconds on either "
            "side and cannot stand for it: import the published model with 'cascade models import'"
        )
    for family, (population, indicator) in _FAMILIES.items():
        match = re.match(f"{family}(?=_[0-9])", name)
        parts = None if match is None else _parts(name[match.end() :])
        if parts is None:
            continue
        settings = {"asked_for": name, "population": population, "frame_rate": float(parts["frame_rate"])}
        settings["kernel"] = "causal" if "causal" in parts else "gaussian"
        if indicator:
            settings["indicator"] = indicator
        if "smoothing" in parts:
            settings["smoothing"] = int(parts["smoothing"]) / 1000
        return settings
    return None


def _parts(text: str) -> dict[str, str] | None:
    """What follows the family in a name, by `_PARTS`; None if there is anything else, or no frame rate."""
    found: dict[str, str] = {}
    while text:
        for part, pattern in _PARTS.items():
            match = pattern.match(text)
            if match is not None and part not in found and text[match.end() : match.end() + 1] in ("", "_"):
                found[part], text = match[1], text[match.end() :]
                break
        else:
            return None
    return found if "frame_rate" in found else None
