from lmcore.reporting.version.facts.changes import Changes


def test_what_is_not_of_the_right_shape_is_left_out() -> None:
    found = Changes.model_validate(
        {
            "version": 2,
            "config": [["key", "1", "2"], ["short"], 3],
            "metrics": [{"name": "accuracy", "now": {"value": 0.5}}, {"before": 1}, 7],
            "samples": {},
            "documents": [1, 2, 3],
        }
    )
    assert found.config == (("key", "1", "2"),)
    assert [change.name for change in found.metrics] == ["accuracy"]
    assert found.metrics[0].before.value is None
    assert (found.samples, found.documents) == ((), (1, 2))


def test_nothing_is_known_of_a_first_version() -> None:
    assert Changes.model_validate({}).version is None
