from pathlib import Path

from lmcore.content_store import ContentStore
from lmcore.data.config import TokenizerConfig
from lmcore.data.documents import Document, DocumentSet, RowWriter
from lmcore.data.tokens.corpus import make_corpus
from lmcore.data.tokens.shards import write_shards
from lmcore.data.tokens.tokenizer import fit_tokenizer


def test_a_corpus_is_its_documents_its_tokenizer_and_their_tokens(tmp_path: Path) -> None:
    store = ContentStore(tmp_path)

    def make(folder: Path) -> None:
        with RowWriter(folder) as writer:
            for text, split in (("abc", "train"), ("x", "tune"), ("never cut", "validation")):
                document = Document(
                    id=f"{len(text):064x}",
                    **{"text": text, "name": text, "source": 0, "license": "MIT", "origin": ""},
                    **{"num_bytes": len(text), "split": split, "anchor": False, "cluster": text},
                )
                writer.add_document(document)

    documents = store.build(DocumentSet, {}, make)
    tokenizer = fit_tokenizer(store, documents, config=TokenizerConfig(kind="byte"))
    corpus = make_corpus(store, documents, tokenizer)
    assert corpus.shards.path == write_shards(store, documents, tokenizer).path
    end = corpus.loaded.end_id
    assert corpus.train_stream.read(0, 4).tolist() == [*b"abc", end]
    assert corpus.tune_stream.read(0, 2).tolist() == [ord("x"), end]
    assert corpus.loaded is corpus.loaded
