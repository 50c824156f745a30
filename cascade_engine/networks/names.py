"""The names of the published models, each of which stands for settings of the universal model."""

from __future__ import annotations

import re
from typing import Any

from cascade_engine.errors import ModelError

#: Names of the published families, the population that they were trained on, and its indicator where there is one.
_FAMILIES = {
    r"Global_EXC": ("principal", None),
    r"Global_INH": ("interneurons", None),
    r"GC8_EXC": ("principal", "jGCaMP8"),
    r"GC8f_EXC": ("principal", "jGCaMP8f"),
    r"GC8m_EXC": ("principal", "jGCaMP8m"),
    r"GC8s_EXC": ("principal", "jGCaMP8s"),
    r"Interneurons_GC8\+?": ("interneurons", None),
    r"Spinal_cord_excitatory": ("principal", "GCaMP6s"),
    r"Spinal_cord_inhibitory": ("interneurons", "GCaMP6s"),
    r"OGB_zf_pDp": ("principal", "OGB-1"),
    r"Zebrafish": ("principal", None),
    r"GCaMP6f_mouse": ("principal", "GCaMP6f"),
    r"Cascade_Universal": ("principal", None),
}

_SETTINGS = re.compile(
    r"_(?P<rate>\d+(?:\.\d+)?)Hz(?:_smoothing(?P<smoothing>\d+)ms)?(?P<causal>_causalkernel)?(?:_high_noise)?"
)

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
        match = re.fullmatch(f"{family}{_SETTINGS.pattern}", name)
        if match:
            settings = {"asked_for": name, "population": population, "frame_rate": float(match["rate"])}
            settings["kernel"] = "causal" if match["causal"] else "gaussian"
            if indicator:
                settings["indicator"] = indicator
            if match["smoothing"]:
                settings["smoothing"] = int(match["smoothing"]) / 1000
            return settings
    return None
