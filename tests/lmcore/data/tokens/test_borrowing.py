import json
from pathlib import Path

import library_tokenizers as library
import pytest

from lmcore.content_store import ContentStore
from lmcore.data.config import TokenizerConfig
from lmcore.data.tokens.borrowed import BorrowedTokenizer
from lmcore.data.tokens.borrowing import adopt_tokenizer, borrow_tokenizer
from lmcore.data.tokens.vocabularies import ByteTokenizer
from lmcore.errors import IntegrityError


def base(folder: Path) -> Path:
    folder.mkdir()
    library.lowering().save(str(folder / "tokenizer.json"))
    (folder / "base.json").write_text(json.dumps({"vocab_size": 320, "end_id": 0, "name": "x"}))
    return folder


def test_the_tokenizer_of_a_base_is_kept_with_what_is_known_of_it(tmp_path: Path) -> None:
    store = ContentStore(tmp_path / "store")
    handle = borrow_tokenizer(store, base(tmp_path / "base"), "key-of-base")
    assert dict(handle.summary) == {
        "kind": "pretrained",
        "vocab_size": 320,
        "fitted_on": "key-of-base",
        "split": "base",
        "may_lose": ["NFKC", "Lowercase"],
    }
    loaded = handle.load()
    assert (loaded.vocab_size, loaded.end_id) == (320, 0)
    assert loaded.decode(loaded.encode("The cat")) == "the cat"


def test_another_base_is_another_folder(tmp_path: Path) -> None:
    store, folder = ContentStore(tmp_path / "store"), base(tmp_path / "base")
    keys = [borrow_tokenizer(store, folder, key).key for key in ("one", "one", "two")]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize("name", ["base.json", "tokenizer.json"])
def test_a_base_without_its_files_is_refused(tmp_path: Path, name: str) -> None:
    folder = base(tmp_path / "base")
    (folder / name).write_text("[")
    with pytest.raises(IntegrityError, match=name):
        borrow_tokenizer(ContentStore(tmp_path / "store"), folder, "key")


class Documents:
    key = "documents-key"


def test_a_tokenizer_that_is_taken_over_says_whose_text_it_knows(tmp_path: Path) -> None:
    made = {
        "train": ByteTokenizer(),
        "base": BorrowedTokenizer(library.byte_level().to_str(), vocab_size=300, end_id=0),
    }
    for split, tokenizer in made.items():
        folder = tmp_path / split
        folder.mkdir()
        tokenizer.save(folder)
        handle = adopt_tokenizer(
            ContentStore(tmp_path / "store"),
            Documents(),  # type: ignore[arg-type]
            config=TokenizerConfig(),
            folder=folder,
        )
        assert handle.summary["fitted_on"] == "documents-key"
        assert (handle.summary["split"], handle.summary["adopted"]) == (split, True)
        assert handle.load().pieces == tokenizer.pieces
