"""Names: an option that needs a model, says so in one sentence, and masks what the model finds."""

import sys
import types
from pathlib import Path
from typing import Any

import pytest

from lmcore.config_file import load_config
from lmcore.data.config import DataConfig
from lmcore.data.sources.single_file import read_documents
from lmcore.data.text.person_names import load_names, mask_names, names_digest
from lmcore.errors import ConfigError


class Fixed:
    """Finds two names wherever they stand."""

    def find(self, text: str) -> list[tuple[int, int]]:
        found = []
        for name in ("Ada Lovelace", "Zoë"):
            at = text.find(name)
            while at >= 0:
                found.append((at, at + len(name)))
                at = text.find(name, at + 1)
        return sorted(found)


def test_names_are_masked_and_counted_and_placeholders_stay() -> None:
    masked = mask_names("Ada Lovelace met Zoë <EMAIL>. Zoë left.", finder=Fixed())
    assert masked.text == "<NAME> met <NAME> <EMAIL>. <NAME> left."
    assert masked.counts == {"NAME": 3}
    assert [span.text for span in masked.spans] == ["Ada Lovelace", "Zoë", "Zoë"]
    assert mask_names("nobody", finder=Fixed()).counts == {}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.cfg").write_text("[nlp]\n")
    load_names.cache_clear()
    return folder


def _spacy(monkeypatch: pytest.MonkeyPatch, load: Any) -> None:
    module = types.ModuleType("spacy")
    module.load = load  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "spacy", module)


def test_without_the_library_the_sentence_says_what_to_install(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(ConfigError, match="pip install spacy"):
        load_names(str(model))


@pytest.mark.parametrize("what", ["missing", "broken", "no entities"])
def test_a_folder_that_is_no_model_is_one_clear_sentence(
    model: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def load(path: Path) -> Any:
        if what == "broken":
            raise OSError("cannot read meta.json")
        return types.SimpleNamespace(pipe_names=["tagger"])

    _spacy(monkeypatch, load)
    folder = model / "nowhere" if what == "missing" else model
    with pytest.raises(ConfigError, match=r"data\.names"):
        load_names(str(folder))


def test_a_model_is_used_in_reading_and_long_texts_go_in_pieces(
    model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sizes = []

    class Pipeline:
        pipe_names = ("ner",)

        def __call__(self, text: str) -> Any:
            sizes.append(len(text))
            entity = types.SimpleNamespace
            return types.SimpleNamespace(
                ents=[
                    entity(label_="PERSON" if i % 2 else "GPE", start_char=a, end_char=b)
                    for i, (a, b) in enumerate(Fixed().find(text), start=1)
                ]
            )

    _spacy(monkeypatch, lambda path: Pipeline())
    found = load_names(str(model)).find(("x" * 99 + "\n") * 2_500 + "Zoë")
    assert found == [(250_000, 250_003)]
    assert sum(sizes) == 250_003
    assert max(sizes) <= 100_000
    load_names.cache_clear()
    (tmp_path / "a.txt").write_text("Ada Lovelace wrote to ada@example.org.")
    (document,) = read_documents(tmp_path / "a.txt", data=DataConfig(names=str(model)))
    assert document.text == "<NAME> wrote to <EMAIL>."


def test_the_model_is_part_of_the_configuration_by_its_content(model: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("name: a\nsources: [{path: a.txt}]\ndata: {names: model}\n")
    first = load_config(config)
    assert first.data.names == str(model)
    before = first.fingerprint()
    moved = tmp_path / "moved"
    moved.mkdir()
    model.rename(moved / "model")
    assert names_digest(str(moved / "model"))
    other = load_config(config, overrides=[f"data.names={moved / 'model'}"])
    assert other.fingerprint() == before
    (moved / "model" / "config.cfg").write_text("[other]\n")
    assert other.fingerprint() != before
    with pytest.raises(ConfigError, match="no folder with a spaCy model"):
        first.fingerprint()
