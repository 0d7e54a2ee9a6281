"""What a run says: lines for machines, a table for people, and the document."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bench import report
from bench.report import BEGIN, DOCUMENT, END, Figure, goal, renew, table, write_document

NAMES = {
    "engine_cpu_per_probe",
    "engine_tls_cpu_per_probe",
    "client_is_model_ready",
    "fleet_10k_cores",
    "fleet_10k_rss",
    "fleet_10k_lateness_p99",
    "fleet_50k_cores",
    "growth_cpu_per_probe",
    "hanging_lateness_p99",
    "first_verdict",
    "time_to_verdict",
    "operator_listed",
    "operator_rss",
    "operator_first_verdict",
    "operator_cores",
    "operator_lateness_p99",
    "operator_resync_delay",
    "operator_quiet_writes",
    "operator_flip",
}


def test_a_line_has_these_fields_and_no_other() -> None:
    said = json.loads(Figure("engine_cpu_per_probe", "engine", 61.234, "µs", "bare Go", 122.468, 1.0, "paced").line())
    assert said == {
        "bench": "engine_cpu_per_probe",
        "subject": "engine",
        "value": 61.2,
        "unit": "µs",
        "baseline": "bare Go",
        "baseline_value": 122,
        "ratio": 0.5,
    }


def test_without_a_baseline_there_is_no_ratio() -> None:
    said = json.loads(Figure("fleet_50k_cores", "engine", 0.2, "cores").line())
    assert (said["baseline"], said["baseline_value"], said["ratio"]) == ("", None, None)


@pytest.mark.parametrize(("value", "reached"), [(0.3, "yes"), (0.4, "yes"), (0.5, "**no**")])
def test_a_goal_is_reached_at_its_value_and_below(value: float, reached: str) -> None:
    assert goal("fleet_10k_cores", "engine", value, "cores", 0.4).reached == reached


@pytest.mark.parametrize(("value", "reached"), [(0.0, "yes"), (1.0, "**no**")])
def test_a_goal_of_none_at_all_is_reached_by_none(value: float, reached: str) -> None:
    assert goal("operator_quiet_writes", "operator", value, "requests", 0.0).reached == reached


def test_what_has_no_goal_is_neither_reached_nor_missed() -> None:
    assert Figure("fleet_10k_cores", "engine", 0.1, "cores", "bare Go", 0.2).reached == ""


def test_what_could_not_be_measured_is_null_and_no_goal_reached() -> None:
    figure = goal("first_verdict", "engine", float("nan"), "s", 15)
    assert (json.loads(figure.line())["value"], json.loads(figure.line())["ratio"], figure.reached) == (None, None, "**no**")


def test_the_table_keeps_its_columns_in_line() -> None:
    lines = table([goal("first_verdict", "engine", 10.04, "s", 15), Figure("fleet_50k_cores", "engine", 0.2, "cores")]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert len({line.count("|") for line in lines}) == 1


def test_the_document_gets_the_new_table_in_place_of_the_old(tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_document("new", document)
    write_document(r"newer \1", document)
    assert document.read_text() == f"before\n{BEGIN}\nnewer \\1\n{END}\nafter\n"


def test_a_part_of_the_figures_takes_the_place_of_those_of_its_names(tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    before = table([Figure(name, "ours", 1.0, "s") for name in ("a", "b", "b", "c")])
    document.write_text(f"# Costs\n{BEGIN}\n3 rounds.\n\n{before}\n{END}\nmore\n")
    renew([Figure("b", "ours", 2.0, "s", note="anew")], document)
    after = table([Figure("a", "ours", 1.0, "s"), Figure("b", "ours", 2.0, "s", note="anew"), Figure("c", "ours", 1.0, "s")])
    assert document.read_text() == f"# Costs\n{BEGIN}\n3 rounds.\n\n{after}\n{END}\nmore\n"
    renew([Figure("d", "ours", 3.0, "s")], document)
    assert [line.split("|")[1].strip() for line in document.read_text().splitlines() if line.startswith("| ")] == ["figure", *"abcd"]


def test_a_document_without_a_place_for_it_is_left_alone(tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    document.write_text("nothing")
    with pytest.raises(ValueError, match="should hold one line"):
        write_document("new", document)
    assert document.read_text() == "nothing"


def test_the_document_has_a_place_for_the_table_and_explains_each_figure() -> None:
    text = DOCUMENT.read_text()
    assert text.count(BEGIN) == text.count(END) == 1
    outside = re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", "", text, flags=re.DOTALL)
    assert {name for name in NAMES if f"`{name}`" not in outside} == set()


def test_every_figure_is_measured_by_its_name() -> None:
    measured = "".join(file.read_text() for file in (Path(report.__file__).parent / "figures").glob("*.py"))
    assert {name for name in NAMES if f'"{name}"' not in measured} == set()
