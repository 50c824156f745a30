"""What an NWB file should say about an experiment and no container of traces knows: only the user can tell.

Nothing is made up. What NWB demands and nobody has said is "unknown" (text) or NaN (wavelengths); the start of the
session is the one thing that has to be given.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from cascade_engine.errors import InputError
from cascade_engine.file_formats.yaml_text import parse_yaml

UNKNOWN = "unknown"

TEMPLATE = """\
# What an NWB file says about the experiment; for 'cascade convert IN OUT.nwb --metadata THIS_FILE'.
# session_start_time is needed; fill in what you know of the rest and delete what you do not.
session_start_time:            # 2024-05-17T12:30:00+02:00
session_description:
session_id:
identifier:                    # one of its own for every file; made if you leave it out
experiment_description:
experimenter: []               # ["Last, First"]
institution:
lab:
keywords: []
related_publications: []       # ["doi:10.1038/..."]
notes:
pharmacology:
protocol:
surgery:
virus:
subject:
  subject_id:
  species:                     # Mus musculus
  sex:                         # M, F, U (unknown) or O (other)
  age:                         # P90D: 90 days
  date_of_birth:               # 2024-02-17T00:00:00+02:00
  genotype:
  strain:
  weight:                      # 0.025 kg
  description:
device:
  name:
  description:
  manufacturer:
imaging_plane:
  indicator:
  location:                    # where in the brain
  excitation_lambda:           # nm
  emission_lambda:             # nm
  description:
"""


@dataclass
class Metadata:
    """What is known about an experiment.

    Attributes
    ----------
    session_start_time : datetime or None
        When the session began.
    session : dict
        Further arguments of ``pynwb.NWBFile``.
    subject, device : dict
        Arguments of ``pynwb.file.Subject`` and ``pynwb.device.Device``.
    imaging_plane : dict
        ``indicator``, ``location``, ``description``, and ``excitation_lambda`` and ``emission_lambda`` in nm.
    """

    session_start_time: datetime | None = None
    session: dict[str, Any] = field(default_factory=dict)
    subject: dict[str, Any] = field(default_factory=dict)
    device: dict[str, Any] = field(default_factory=dict)
    imaging_plane: dict[str, Any] = field(default_factory=dict)


_GROUPS = tuple(each.name for each in fields(Metadata) if each.name not in ("session_start_time", "session"))
_TIMES = ("session_start_time", "subject.date_of_birth")
_LISTS = ("experimenter", "keywords", "related_publications")
_WAVELENGTHS = ("imaging_plane.excitation_lambda", "imaging_plane.emission_lambda")


def read_metadata(path: Path | None = None, settings: tuple[str, ...] = ()) -> Metadata:
    """Read metadata from a YAML file and from single settings, which take precedence.

    Parameters
    ----------
    path : Path, optional
        A file like `TEMPLATE`.
    settings : tuple of str
        ``KEY=VALUE``; keys of a group as ``subject.species``.

    Returns
    -------
    Metadata
        Only what was said.

    Raises
    ------
    InputError
        If a key is unknown or a value is not of its kind.
    """
    metadata = Metadata()
    given = [] if path is None else [(key, value, str(path)) for key, value in _flat(_read_yaml(path), path)]
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise InputError(f"--set {setting}: KEY=VALUE is needed, such as subject.species='Mus musculus'")
        given.append((key.strip(), text.strip(), "--set"))
    for key, value, source in given:
        if key not in KEYS:
            raise InputError(f"{source}: there is no {key}; there are {', '.join(KEYS)}")
        if value in (None, "", []):
            continue
        try:
            value = _converted(key, value)
        except (TypeError, ValueError) as error:
            raise InputError(f"{source}: {key}: {error}") from None
        group, _, name = key.rpartition(".")
        if key == "session_start_time":
            metadata.session_start_time = value
        else:
            getattr(metadata, group or "session")[name] = value
    return metadata


def _read_yaml(path: Path) -> Any:
    import yaml

    try:
        return parse_yaml(path.read_text("utf-8"), as_written=True)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{path} is no YAML: {' '.join(str(error).split())}") from None


def _flat(content: Any, path: Path) -> list[tuple[str, Any]]:
    """Keys and values, those of a group with the group's name in front."""
    if content in (None, ""):
        return []
    if not isinstance(content, dict):
        raise InputError(f"{path} must hold 'key: value' lines; see 'cascade convert --template'")
    found = []
    for key, value in content.items():
        if key in _GROUPS and isinstance(value, dict):
            found += [(f"{key}.{name}", each) for name, each in value.items()]
        elif key not in _GROUPS or value not in (None, ""):
            found.append((key, value))
    return found


def _converted(key: str, value: Any) -> Any:
    if key in _LISTS:
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(each, str) for each in values):
            raise ValueError("a list of text is needed")
        return values
    if not isinstance(value, str):
        raise ValueError(f"text is needed, not {value}")
    if key in _TIMES:
        return _time(value)
    if key in _WAVELENGTHS:
        wavelength = float(value)
        if not 100 <= wavelength <= 3000 or not math.isfinite(wavelength):
            raise ValueError(f"a wavelength in nm is needed, not {value}")
        return wavelength
    return value


def _time(text: str) -> datetime:
    try:
        # Python 3.10 knows no Z
        time = datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:  # pynwb would make up the zone of this machine
        raise ValueError(f"a date, time and time zone are needed, such as 2024-05-17T12:30:00+02:00, not {text}")
    return time


def _known_keys() -> tuple[str, ...]:
    template = parse_yaml(TEMPLATE)
    return tuple(
        name
        for key, value in template.items()
        for name in ([f"{key}.{each}" for each in value] if isinstance(value, dict) else [key])
    )


#: All that can be said; the template is the one place where they are listed.
KEYS = _known_keys()
