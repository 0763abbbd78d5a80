from pathlib import Path

import pytest
import torch

from lmcore.training.progress import Progress
from lmcore.training.resume import ResumePoint, ResumeStore


def make_point(step: int) -> ResumePoint:
    return ResumePoint(
        progress=Progress(step=step, seconds=0.1 + 0.2, smooth_loss=1 / 3),
        model={"a.weight": torch.arange(4.0) + step},
        optimizer={"0.step": torch.tensor(float(step))},
        state=(torch.zeros(2, 3), torch.tensor([[True, False]])),
        best={"a.weight": torch.ones(4)},
        log='{"kind": "step"}\n',
    )


def tamper(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def test_a_point_comes_back_exactly(tmp_path: Path) -> None:
    store = ResumeStore(tmp_path / "points")
    assert store.load() is None
    store.save(make_point(3))
    point = store.load()
    assert point is not None
    assert point.progress == make_point(3).progress
    assert point.log == make_point(3).log
    for got, expected in zip(point.flat().items(), make_point(3).flat().items(), strict=True):
        assert got[0] == expected[0]
        assert torch.equal(got[1], expected[1])
    assert point.state[1].dtype == torch.bool


def test_the_two_newest_are_kept(tmp_path: Path) -> None:
    store = ResumeStore(tmp_path)
    for step in (5, 9, 100, 20):
        store.save(make_point(step))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "step-0000000020",
        "step-0000000100",
    ]
    newest = store.load()
    earlier = store.load(up_to=99)
    assert newest is not None
    assert earlier is not None
    assert (newest.progress.step, earlier.progress.step) == (100, 20)
    assert store.load(up_to=19) is None


@pytest.mark.parametrize(
    "name", ["tensors.safetensors", "progress.json", "log.jsonl", "manifest.json"]
)
@pytest.mark.parametrize("how", ["tamper", "remove", "empty"])
def test_a_damaged_point_falls_back_with_a_word(tmp_path: Path, name: str, how: str) -> None:
    said: list[str] = []
    store = ResumeStore(tmp_path, on_damage=said.append)
    store.save(make_point(1))
    path = store.save(make_point(2)) / name
    {"tamper": tamper, "remove": Path.unlink, "empty": lambda p: p.write_bytes(b"")}[how](path)
    point = store.load()
    assert point is not None
    assert point.progress.step == 1
    assert len(said) == 1
    assert "step-0000000002" in said[0]


def test_half_a_save_is_swept_away(tmp_path: Path) -> None:
    store = ResumeStore(tmp_path)
    store.save(make_point(1))
    partial = tmp_path / ".step-0000000002.partial"
    partial.mkdir()
    (partial / "tensors.safetensors").write_bytes(b"half")
    point = store.load()
    assert point is not None
    assert point.progress.step == 1
    assert not partial.exists()


def test_saving_again_replaces(tmp_path: Path) -> None:
    store = ResumeStore(tmp_path)
    tamper(store.save(make_point(2)) / "tensors.safetensors")
    store.save(make_point(2))
    assert store.load() is not None


def test_shared_tensors_are_no_obstacle(tmp_path: Path) -> None:
    shared = torch.zeros(3)
    point = ResumePoint(
        progress=Progress(), model={"w": shared}, optimizer={}, state=(shared,), best={"w": shared}
    )
    ResumeStore(tmp_path).save(point)
    assert ResumeStore(tmp_path).load() is not None
