from flows.registry.figures import with_bounds


def test_bounds_stand_beside_their_value() -> None:
    metrics = {
        "val_bits_per_byte": {"value": 1.5, "lower": 1.25, "upper": 1.75, "unit": "bits/byte"},
        "params": {"value": 7, "lower": None, "upper": None},
        "train_tokens_per_second": {"value": 0.0},
    }
    assert with_bounds(metrics) == {
        "val_bits_per_byte": 1.5,
        "val_bits_per_byte_lower": 1.25,
        "val_bits_per_byte_upper": 1.75,
        "params": 7.0,
        "train_tokens_per_second": 0.0,
    }
