"""Hundreds of InferenceServices as other people deploy them, where the collection lies beside the project: none is judged wrongly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from isvcwatch.client.protocols.interview import MOST_INQUIRIES

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT.parent / "shared" / "corpus"
ADAPTER = Path(__file__).with_name("adapter.py")

MOST_ROUNDS = 3 * 3 * 2
"""Requests of three rounds that each explain a failure, of two servers."""

pytestmark = pytest.mark.skipif(not (CORPUS / "run.py").exists(), reason="the collection of InferenceServices is not here")


def test_no_service_is_judged_wrongly_and_none_is_asked_too_much(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    ran = subprocess.run(  # noqa: S603 -- the collection's own runner
        [sys.executable, CORPUS / "run.py", "--adapter", ADAPTER, "--json", results],
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'operator'}{os.pathsep}{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]
    cases = json.loads(results.read_text())
    count = Counter(case["class"] for case in cases if case["sure"])
    assert count["right"] >= 300
    assert (count["wrong"], count["crash"]) == (0, 0)
    assert count["unknown"] <= 0.02 * count.total()
    for case in cases:
        for run in case["all"]:
            assert len(run.get("asked") or ()) <= 2 * MOST_INQUIRIES + MOST_ROUNDS, (case["file"], run)
