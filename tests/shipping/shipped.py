"""The shipped files, read."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
MANIFESTS = ROOT / "manifests"
BASE = MANIFESTS / "base"
NAMESPACED = MANIFESTS / "namespaced"
ALERTS = MANIFESTS / "alerts"

Object = dict[str, Any]


def objects(folder: Path) -> list[Object]:
    """The objects in the files that the folder's kustomization lists itself."""
    files = [folder / name for name in kustomization(folder)["resources"] if name.endswith(".yaml")]
    return [document for file in files for document in yaml.safe_load_all(file.read_text())]


def one(folder: Path, kind: str) -> Object:
    """The folder's only object of a kind."""
    (found,) = [item for item in objects(folder) if item["kind"] == kind]
    return found


def kustomization(folder: Path) -> Object:
    loaded: Object = yaml.safe_load((folder / "kustomization.yaml").read_text())
    return loaded


def project() -> Object:
    """The `[project]` table of pyproject.toml."""
    table: Object = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return table


def allowed(role: Object) -> set[tuple[str, str, str]]:
    """A role's rules, one by one: (group, resource, verb)."""
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
