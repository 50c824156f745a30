"""Names that a shell can complete: of models, calcium indicators and datasets; and choices with 'did you mean'."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

import click
from click.shell_completion import CompletionItem


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """The nearest of the names that are known, as a question; empty if none is near."""
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(given.lower(), by_lower, n=1)
    return f"did you mean {by_lower[close[0]]}?" if close else ""


class Choice(click.Choice):
    """One of a few values; the nearest one is named where another is given."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Convert an argument."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            hint = did_you_mean(str(value), map(str, self.choices))
            if not hint:
                raise
            raise click.BadParameter(f"{error.message.rstrip('.')}: {hint}", ctx=ctx, param=param) from None


class Name(click.ParamType):
    """A text that a shell completes with `known` names; whatever reads it refuses what does not exist."""

    name = "text"

    def known(self) -> Iterable[str]:
        """Names that there are; they are found in a moment, since a shell waits for them."""
        raise NotImplementedError

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Convert an argument."""
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Names that begin in this way, capital letters or not; files if there are none, since models are folders."""
        found = [name for name in self.known() if name.lower().startswith(incomplete.lower())]
        return [CompletionItem(name) for name in found] or [CompletionItem(incomplete, type="file")]


class ModelName(Name):
    """Name or folder of a model."""

    def known(self) -> Iterable[str]:
        """See `Name.known`."""
        from cascade_engine.networks.store import AUTOMATIC, list_models

        return [AUTOMATIC, *list_models()]


class IndicatorName(Name):
    """Name of a calcium indicator."""

    def known(self) -> Iterable[str]:
        """See `Name.known`."""
        from cascade_engine.networks.settings import NOT_GIVEN
        from cascade_engine.networks.universal.architecture import INDICATOR_FAMILIES

        return [*(name for names in INDICATOR_FAMILIES for name in names), NOT_GIVEN]


class DatasetName(Name):
    """Key of a dataset, or the name of its folder."""

    def known(self) -> Iterable[str]:
        """See `Name.known`."""
        from cascade_engine.ground_truth.catalogue import load_catalogue

        return list(load_catalogue())
