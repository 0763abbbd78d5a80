"""Whatever a file holds, reading gives records and reasons, and in little memory."""

import contextlib
import resource
import tempfile
from pathlib import Path

from hypothesis import given
from odd_inputs import fuzz, odd_files, sound_files

from lmcore.data.config import DataConfig, SourceConfig
from lmcore.data.sources.located import fingerprint_sources
from lmcore.data.sources.looks import Look, look
from lmcore.data.sources.readers import read_source
from lmcore.data.sources.records import BadInput, LeftOut, Opened, Record
from lmcore.errors import SourceError

_MOST_KIB = 700 << 10


def test_the_sound_ones_are_read(tmp_path: Path) -> None:
    for name, data in sound_files().items():
        (tmp_path / name).write_bytes(data)
        (source,) = fingerprint_sources([SourceConfig(path=str(tmp_path / name))]).sources
        items = list(read_source(source, data=DataConfig()))
        assert any(isinstance(item, Record) for item in items), (name, items)
        assert not any(isinstance(item, BadInput) for item in items), (name, items)
        assert not look(tmp_path / name, name=name).problem


@fuzz(70)
@given(file=odd_files())
def test_any_file_is_read_or_set_aside(file: tuple[str, bytes]) -> None:
    name, data = file
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(data)
        (source,) = fingerprint_sources([SourceConfig(path=str(path))]).sources
        with contextlib.suppress(SourceError):  # a table without a column of that name
            for item in read_source(source, data=DataConfig()):
                assert isinstance(item, Record | BadInput | LeftOut | Opened)
                if isinstance(item, BadInput):
                    assert item.reason
                    # What no reader thought of is told all the same, and mended when it is found.
                    assert not item.reason.startswith("cannot be read: "), item
        assert isinstance(look(path, name=name), Look)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < _MOST_KIB
