"""The Dockerfile keeps its promises, as far as they can be read off it."""

from __future__ import annotations

import re

import pytest

from isvcwatch.version import __version__
from tests.shipping.shipped import ROOT, project

TEXT = (ROOT / "Dockerfile").read_text()
STEPS = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", TEXT, flags=re.MULTILINE)).splitlines()


def of(instruction: str, steps: list[str] = STEPS) -> list[str]:
    return [step.removeprefix(instruction).strip() for step in steps if step.startswith(f"{instruction} ")]


def final_stage() -> list[str]:
    return STEPS[max(number for number, step in enumerate(STEPS) if step.startswith("FROM ")) :]


def test_both_stages_start_from_the_one_image_that_a_build_argument_names() -> None:
    (argument,) = of("ARG", STEPS[: STEPS.index("FROM ${PYTHON_IMAGE} AS build")])
    name, _, image = argument.partition("=")
    assert name == "PYTHON_IMAGE"
    assert re.fullmatch(r"[a-z0-9./-]+:3\.\d+-slim", image), "named by a tag"
    assert of("FROM") == ["${PYTHON_IMAGE} AS build", "${PYTHON_IMAGE}"]


def test_everything_from_a_registry_has_a_hash_and_is_a_wheel() -> None:
    installs = [command for step in of("RUN") for command in step.split("&&") if re.search(r"pip\b.* (install|wheel)\b", command)]
    assert installs
    for command in installs:
        if "-r requirements/" in command:
            assert "--require-hashes" in command
            assert "--only-binary :all:" in command
        else:
            assert "--no-deps" in command
            assert "--no-index" in command or "--no-build-isolation" in command


def test_it_runs_as_a_number_that_is_not_root() -> None:
    (user,) = of("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert f"USER {user}" in final_stage()


def test_the_final_stage_installs_nothing() -> None:
    assert of("RUN", final_stage()) == []


def test_it_runs_the_operator_unless_told_otherwise() -> None:
    assert of("ENTRYPOINT") == ['["isvcwatch"]']
    assert of("CMD") == ['["run"]']
    assert "isvcwatch" in project()["scripts"]


def test_its_labels_are_the_projects() -> None:
    (labels,) = of("LABEL")
    about = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', labels))
    assert about["title"] == project()["name"]
    assert about["licenses"] == project()["license"]
    assert f"VERSION={__version__}" in of("ARG")
    assert about["version"] == "${VERSION}"


@pytest.mark.parametrize("source", [source for step in of("COPY") if "--from" not in step for source in step.split()[:-1]])
def test_what_it_copies_is_there_and_let_into_the_build(source: str) -> None:
    assert (ROOT / source).exists()
    assert f"!{source}" in (ROOT / ".dockerignore").read_text().splitlines()


def test_nothing_else_is_let_into_the_build() -> None:
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    copied = {source for step in of("COPY") if "--from" not in step for source in step.split()[:-1]}
    assert ignored[0] == "*"
    assert {line[1:] for line in ignored if line.startswith("!")} == copied
