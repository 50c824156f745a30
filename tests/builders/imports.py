"""Which module imports which, read from the source: imports inside functions count, those for type checkers do not."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path


def imports_of(package: Path) -> dict[str, set[str]]:
    """Modules of a package that each of its modules imports.

    Parameters
    ----------
    package : Path
        Folder of the package.

    Returns
    -------
    dict of str to set of str
        Names of imported modules by the name of the importing one. A package stands for its ``__init__``.
    """
    modules = dict(_modules(package, package.name))
    found: dict[str, set[str]] = {}
    for name, path in modules.items():
        tree = ast.parse(path.read_text("utf-8"))
        found[name] = {target for target in _targets(tree, modules) if target != name}
    return found


def rings(imports: dict[str, set[str]], package: str) -> list[list[str]]:
    """Groups of rooms directly in a package that import each other, in a circle of any length.

    Parameters
    ----------
    imports : dict of str to set of str
        As of `imports_of`.
    package : str
        Name of the package. Each module and each package in it is one room, with all that is below.

    Returns
    -------
    list of list of str
        Empty if there is none.
    """

    def room(module: str) -> str | None:
        if module == package:
            return "__init__"
        return module.removeprefix(f"{package}.").split(".")[0] if module.startswith(f"{package}.") else None

    rooms: dict[str, set[str]] = {}
    for module, targets in imports.items():
        start = room(module)
        if start is not None:
            reached = {room(target) for target in targets} - {None, start}
            rooms.setdefault(start, set()).update(reached)  # type: ignore[arg-type]
    reach = {name: _reachable(name, rooms) for name in rooms}
    groups = {frozenset(other for other in reach[name] if name in reach.get(other, ())) for name in rooms}
    return sorted(sorted(group) for group in groups if group)


def _modules(folder: Path, name: str) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.iterdir()):
        if path.name == "__init__.py":
            yield name, path
        elif path.suffix == ".py":
            yield f"{name}.{path.stem}", path
        elif (path / "__init__.py").is_file():
            yield from _modules(path, f"{name}.{path.name}")


def _targets(tree: ast.AST, modules: dict[str, Path]) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                if whole in modules:
                    yield whole
                elif node.module in modules:
                    yield str(node.module)
        else:
            yield from _targets(node, modules)


def _reachable(start: str, graph: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = list(graph.get(start, ()))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += graph.get(name, ())
    return found
