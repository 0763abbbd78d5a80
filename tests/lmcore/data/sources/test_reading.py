"""What readers say of a line that they cannot use."""

from lmcore.data.config import SourceConfig
from lmcore.data.sources.encodings import Misread
from lmcore.data.sources.lines import Line
from lmcore.data.sources.reading import Reading
from lmcore.data.sources.records import BadInput


def test_a_bad_line_is_named_with_its_place_and_reason() -> None:
    reading = Reading(
        name="a.txt",
        source=SourceConfig(path="a.txt"),
        max_bytes=1024,
        unit="line",
        misread=Misread(None, b""),
    )
    assert reading.bad_line(Line(number=3, data=b"\xff")) == BadInput(
        file="a.txt", position=3, reason="invalid UTF-8"
    )
    long = reading.bad_line(Line(number=4, data=None))
    assert long.reason == "a line longer than data.max_document_bytes=1024"
