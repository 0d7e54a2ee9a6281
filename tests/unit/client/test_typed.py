"""Type checkers read the package's annotations only where it says that it has some (PEP 561)."""

from __future__ import annotations

from importlib.resources import files


def test_the_package_says_that_it_is_typed() -> None:
    assert files("isvcwatch").joinpath("py.typed").is_file()
