"""Controls of the advice `data_sufficiency`: a hundredth of a corpus must warn, all of it not."""

from __future__ import annotations

from collections.abc import Sequence

from lmcore.controls.bench import CORPUS, ControlBench
from lmcore.controls.control import Control
from lmcore.data.documents import Document
from lmcore.evaluation.gates.data_sufficiency import SHARES, CurvePoint, data_sufficiency
from lmcore.evaluation.gates.result import GateResult

_ONE_PERCENT = CORPUS["train"] // 100
# Of 512 tokens: five passes over all of the corpus, far more over its parts. After 200, one in ten
# trainings has not yet seen through the language, and looks like too little text, or too much.
_STEPS = 500


def judge(bench: ControlBench, train: Sequence[Document]) -> GateResult:
    """Train on parts of a corpus, equally long, and ask the gate."""
    others = [document for document in bench.corpus if document.split != "train"]
    points = []
    for share in SHARES:
        part = train[: max(1, round(share * len(train)))]
        # The tokenizer is part of what more text improves: each part has its own.
        world = bench.world([*part, *others])
        checkpoint = world.train(max_steps=_STEPS, evaluations=10, patience=10)
        points.append(
            CurvePoint(
                share=share,
                train_bytes=sum(document.num_bytes for document in part),
                table=world.scores(checkpoint.load("best")),
            )
        )
    return data_sufficiency(
        points,
        limits=bench.gates.data_sufficiency,
        required=True,
        resampling=bench.resampling,
    )


def one_percent(bench: ControlBench) -> GateResult:
    """A hundredth of the healthy corpus."""
    return judge(bench, _train(bench)[:_ONE_PERCENT])


def all_of_it(bench: ControlBench) -> GateResult:
    """The healthy corpus."""
    return judge(bench, _train(bench))


def _train(bench: ControlBench) -> list[Document]:
    return [document for document in bench.corpus if document.split == "train"]


CONTROLS = (
    Control(
        gate="data_sufficiency",
        name="1 % of the corpus",
        kind="negative",
        run=one_percent,
        expects=frozenset({"WARN"}),
        cost_seconds=9.0,
    ),
    Control(
        gate="data_sufficiency",
        name="all of the corpus",
        kind="healthy",
        run=all_of_it,
        cost_seconds=9.0,
    ),
)
