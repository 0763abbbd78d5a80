import json

import pytest

from flows.registry.versions import check_name, fact_tags
from lmcore.errors import UserError


@pytest.mark.parametrize("name", ["", "a/b", "a:b", "..", "a b", "é", "x" * 101, "-a", "a'or'"])
def test_names_that_no_registry_holds_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="expected 1 to 100 letters"):
        check_name(name)


def test_many_licences_and_long_reasons_stay_small() -> None:
    licenses = {f"L{i}": i for i in range(500)}
    tags = fact_tags([{"gate": "g", "reason": "x" * 10_000}], {"licenses": licenses})
    data = json.loads(tags["data"])
    assert len(data["licenses"]) == 51
    assert sum(data["licenses"].values()) == sum(licenses.values())
    assert len(tags["gates"]) < 800
