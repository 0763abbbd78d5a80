"""The language model that a task starts from: its name, its lineage, its tokenizer."""

from pathlib import Path

import library_tokenizers as library
import pytest

from lmcore.content_store import ContentStore
from lmcore.data.tokens.borrowed import BorrowedTokenizer
from lmcore.data.tokens.vocabularies import WordTokenizer
from lmcore.errors import IntegrityError
from lmcore.tasks.base_model import BaseModel, adopt_tokenizer


def base_in(folder: Path, **changes: object) -> BaseModel:
    values = {"model": "letters", "version": 3, "key": "k", "weights": folder, "tokenizer": folder}
    return BaseModel(**{**values, **changes})


def test_lineage_names_the_version_its_manifest_and_its_licences() -> None:
    base = base_in(Path("w"), licenses={"CC0-1.0": 12}, train_ids={"a"}, removed=1)
    assert base.designation == "letters version 3"
    assert base.to_json() == {
        **{"model": "letters", "version": 3, "manifest": "k"},
        "licenses": {"CC0-1.0": 12},
    }


def test_its_tokenizer_is_taken_over_unchanged_and_once(tmp_path: Path) -> None:
    store, folder = ContentStore(tmp_path / "store"), tmp_path / "base"
    folder.mkdir()
    own = WordTokenizer([" good", " film"])
    own.save(folder)
    adopted = adopt_tokenizer(store, base_in(folder))
    assert adopted.load().pieces == own.pieces
    assert adopted.load().encode("a good film") == own.encode("a good film")
    assert dict(adopted.summary) == {
        **{"kind": "word", "vocab_size": own.vocab_size},
        **{"fitted_on": "letters version 3", "split": "train"},
    }
    assert adopt_tokenizer(store, base_in(folder)).path == adopted.path
    assert adopt_tokenizer(store, base_in(folder, key="other")).path != adopted.path


def test_a_base_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError):
        adopt_tokenizer(ContentStore(tmp_path / "store"), base_in(tmp_path / "nothing"))


def test_a_tokenizer_that_the_base_took_over_itself_stays_one(tmp_path: Path) -> None:
    store, folder = ContentStore(tmp_path / "store"), tmp_path / "base"
    folder.mkdir()
    own = BorrowedTokenizer(library.byte_level().to_str(), vocab_size=300, end_id=0)
    own.save(folder)
    adopted = adopt_tokenizer(store, base_in(folder))
    assert (adopted.summary["kind"], adopted.summary["split"]) == ("pretrained", "base")
    assert adopted.load().end_id == 0
