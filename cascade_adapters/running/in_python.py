"""Messages for those who call from Python: options as keywords (``frame_rate=7.5``) instead of ``--frame-rate 7.5``.

All messages are written for the command line. Whatever a function of `cascade_adapters` or a hook raises or warns of
goes through here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from cascade_adapters.running.options import choices_by_group
from cascade_engine.declared import Declared
from cascade_engine.errors import CascadeError

#: What concerns the command alone, and is left out.
_OF_THE_COMMAND = (
    " (details with --log FILE)",
    ", or pass --wait",
    ", or pass a longer --wait",
    ", or pass --no-defaults",
)

#: What stands before an option that is to be given; elsewhere its bare name reads better.
_PASS = r"\bpass (?:the other |another )?"

#: Further options of commands that are keywords of functions, of the same names.
_KEYWORDS = re.compile(rf"({_PASS})?--(jobs|scheduler|output)(?![\w-])(?: (FILE|N|ADDRESS)(?!\w))?")

_NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w.])"

#: Values of options that are texts, where a message states one.
_TEXTS = {
    "sessions": r"\d+(?:,\d+)+",
    "exclude_frames": r"\d+(?:[-,]\d+)*(?![\w.])|\S+\.(?:npy|txt)",
}


def in_python(text: str) -> str:
    """A message with its options as keywords.

    Examples
    --------
    >>> in_python("a.npy: it has no frame rate: pass --frame-rate (Hz)")
    'a.npy: it has no frame rate: pass frame_rate= (Hz)'
    >>> in_python("leave out --dff container and --raw, or pass --sessions 900,300")
    'leave out dff="container" and raw, or pass sessions=(900, 300)'
    >>> in_python("run again with fewer --jobs, or pass --output FILE for another place")
    'run again with fewer jobs, or pass output=FILE for another place'
    """
    for part in _OF_THE_COMMAND:
        text = text.replace(part, "")
    for pattern, flat, choice in _PATTERNS:
        text = pattern.sub(partial(_keyword, flat, choice), text)
    return _KEYWORDS.sub(lambda found: f"{found[1]}{found[2]}={found[3] or ''}" if found[1] else found[2], text)


@contextmanager
def speaking_python() -> Iterator[None]:
    """Within the block, errors for the user have their options as keywords."""
    try:
        yield
    except CascadeError as error:
        error.args = tuple(in_python(part) if isinstance(part, str) else part for part in error.args)
        raise


def _keyword(flat: str, choice: Declared, found: re.Match) -> str:
    pass_it, value = found[1] or "", found[2]
    if not value:
        return f"{pass_it}{flat}{('=True' if choice.type is bool else '=') if pass_it else ''}"
    return pass_it + _stated(flat, choice, value)


def _stated(flat: str, choice: Declared, value: str) -> str:
    if value == "none" and choice.choices is not None and False in choice.choices:
        return f"{flat}=False"
    if flat == "sessions":
        return f"{flat}=({', '.join(value.split(','))})"
    is_text = choice.type is str and value != choice.metavar
    return f'{flat}="{value}"' if is_text else f"{flat}={value}"


def _patterns() -> Iterator[tuple[re.Pattern, str, Declared]]:
    """For each way to write an option: a pattern whose second group is its value, if there is one."""
    found = [
        (option, flat, choice)
        for choices in choices_by_group().values()
        for flat, choice in choices.items()
        for option in choice.options
    ]
    for option, flat, choice in sorted(found, key=lambda each: -len(each[0])):
        values = [re.escape(choice.metavar) + r"(?!\w)"] if choice.metavar else []
        if choice.choices is not None:
            values += [rf"{re.escape('none' if each is False else str(each))}(?![\w-])" for each in choice.choices]
        elif choice.type in (int, float):
            values.append(_NUMBER)
        elif flat in _TEXTS:
            values.append(_TEXTS[flat])
        value = f"(?: ({'|'.join(values)}))?" if values and choice.type is not bool else "()"
        yield re.compile(rf"({_PASS})?(?<![\w-]){re.escape(option)}(?![\w-]){value}"), flat, choice


_PATTERNS = tuple(_patterns())
