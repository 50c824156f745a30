"""Calcium indicators by the names that files hold: of viruses, mouse lines, dyes, with any spelling."""

from __future__ import annotations

import re

#: What may stand between the parts of a name.
_GAP = r"[\s_.\-]*"

#: A variant, and what ends a name.
_VARIANT = rf"{_GAP}(f(?:ast)?|m(?:edium)?|s(?:low)?|[a-z])?(?![a-z0-9])"

#: How indicators are written, and what to call them: number and variant are put in.
_SPELLINGS = {
    rf"(?:G{_GAP}CaMP|(?<![a-z])GC){_GAP}(\d+){_VARIANT}": "GCaMP{}{}",
    rf"R{_GAP}CaMP{_GAP}(\d+(?:\.\d+)?){_VARIANT}": "R-CaMP{}{}",
    rf"R{_GAP}GECO{_GAP}(\d+){_VARIANT}": "RGECO{}{}",
    rf"(?:(?<![a-z])OGB|Oregon{_GAP}Green(?:{_GAP}488)?{_GAP}BAPTA){_GAP}(\d)()(?!\d)": "OGB-{}",
    rf"(?<![a-z])Cal{_GAP}(\d+)()": "Cal-{}",
    rf"(?<![a-z])Fluo{_GAP}(\d+)()": "Fluo-{}",
    rf"(?<![a-z])Fura{_GAP}(\d+)()": "Fura-{}",
    rf"(?<![a-z])Rhod{_GAP}(\d+)()": "Rhod-{}",
}


def plain_name(indicator: str) -> str:
    """The name of an indicator without capital letters, signs and the leading j, which make no difference."""
    return re.sub("[^a-z0-9]", "", indicator.lower()).removeprefix("j")


def indicators_named(text: str) -> list[str]:
    """Indicators that a text names, each once.

    Parameters
    ----------
    text : str
        Name of an indicator, a virus, a mouse line, or what else a file holds.

    Examples
    --------
    >>> indicators_named("AAV1.Syn.GCaMP6f.WPRE.SV40")
    ['GCaMP6f']
    >>> indicators_named("Oregon Green BAPTA-1"), indicators_named("R-CaMP 1.07")
    (['OGB-1'], ['R-CaMP1.07'])
    >>> indicators_named("GCaMP6s and jRGECO1a")
    ['GCaMP6s', 'RGECO1a']
    """
    found = [
        name.format(match[1], (match[2] or "")[:1].lower())
        for spelling, name in _SPELLINGS.items()
        for match in re.finditer(spelling, text, re.IGNORECASE)
    ]
    return list(dict.fromkeys(found))
