from lmcore.counted import counted, named


def test_one_is_one_and_everything_else_is_many() -> None:
    assert [counted(n, "step") for n in (0, 1, 2, 1291)] == [
        *("0 steps", "1 step", "2 steps", "1,291 steps"),
    ]
    assert counted(1, "near-copy", "near-copies") == "1 near-copy"
    assert counted(2, "near-copy", "near-copies") == "2 near-copies"
    assert [named(n, "document") for n in (0.5, 1.0)] == ["documents", "document"]
