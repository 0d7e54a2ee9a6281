"""The table of evidence, as a property: no verdict without its witness, whatever was found."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from isvcwatch.core.backing import Backing, lacking
from isvcwatch.core.conditions import Status
from isvcwatch.core.gate import SILENT
from isvcwatch.core.health import Finding, Round
from isvcwatch.core.paths import MUTE, Path
from isvcwatch.core.reasons import CUT, Reason
from isvcwatch.core.witness import weigh
from tests.unit.builders import READY, hop, target

SERVICE = "iris-predictor"
TARGET = target(hops=[replace(hop(), service=SERVICE)])
LACK = lacking(TARGET.hops, (Backing(SERVICE),))
FALSE = st.builds(Finding, st.just(Status.FALSE), st.sampled_from(sorted(SILENT | {Reason.MODEL_NOT_READY, Reason.SERVER_ERROR})))
UNKNOWN = st.builds(Finding, st.just(Status.UNKNOWN), st.sampled_from([Reason.UNAUTHORIZED, Reason.RESOLVER_FAILED]))
FINDINGS = st.one_of(st.just(READY), FALSE, UNKNOWN)


@given(model=FINDINGS, lack=st.sampled_from([None, LACK]), path=st.sampled_from(Path), fresh=st.booleans())
def test_each_verdict_has_its_witness(model: Finding, lack: Finding | None, path: Path, fresh: bool) -> None:
    found = Round(model, model, model)
    judged = weigh(found, TARGET, lack, path, fresh=fresh)
    if judged is None:
        assert (model.status, lack, fresh) == (Status.TRUE, LACK, False)
        return
    verdict = judged.model_ready
    if verdict.status is Status.TRUE:
        assert model.status is Status.TRUE
        assert lack is None or fresh
    elif verdict.status is Status.FALSE:
        silent = verdict.reason in MUTE
        assert verdict is lack or (verdict is model and not (silent and path in {Path.NEVER, Path.SILENT}))
    if verdict.reason in CUT:
        assert model.reason in MUTE
        assert path in {Path.NEVER, Path.SILENT}
        assert TARGET.namespace in verdict.message
    if lack is not None and model.status is not Status.TRUE:
        assert verdict is lack


@given(model=FINDINGS)
def test_with_endpoints_and_an_open_way_what_was_found_is_what_is_judged(model: Finding) -> None:
    found = Round(model, model, model)
    assert weigh(found, TARGET, None, Path.OPEN, fresh=False) is found
