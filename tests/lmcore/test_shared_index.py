import json

import pytest

from lmcore.errors import IntegrityError
from lmcore.shared_index import make_index, read_index

FILES = {"a": (5, "0" * 64), "deep/b": (0, "1" * 64)}


def test_what_is_written_is_read() -> None:
    assert read_index(make_index(FILES), where="here") == FILES
    assert read_index(make_index({}), where="here") == {}


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "deep/../../outside", ""])
def test_no_name_leads_out_of_the_folder(name: str) -> None:
    with pytest.raises(IntegrityError, match=r"here/index\.json was changed or damaged"):
        read_index(make_index({name: (5, "0" * 64)}), where="here")


@pytest.mark.parametrize("raw", [b"", b"no json", b"[]", b"{}", b'{"files": {"a": 1}}'])
def test_what_is_no_index_is_refused(raw: bytes) -> None:
    with pytest.raises(IntegrityError, match="was changed or damaged"):
        read_index(raw, where="here")


def test_a_changed_size_is_refused() -> None:
    told = json.loads(make_index(FILES))
    told["files"]["a"][0] = 6
    with pytest.raises(IntegrityError, match="was changed or damaged"):
        read_index(json.dumps(told).encode(), where="here")
