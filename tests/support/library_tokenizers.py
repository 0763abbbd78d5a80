"""Tiny tokenizers of the `tokenizers` library, of each kind that models come with, as JSON text."""

from __future__ import annotations

import itertools
import json
from typing import Any

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from lmcore.content_store import ContentStore
from lmcore.data.tokens.borrowing import borrow_tokenizer
from lmcore.data.tokens.tokenizer import TokenizerHandle

END = "<|end|>"
TURN = "<|turn|>"
_TEXTS = ["the cat sat on the mat", "a dog and a cat, 12 of 345", "naïve café – ok?"] * 3
_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def byte_level(*, normalizer: Any = None, size: int = 300) -> Tokenizer:
    """As GPT-2 has it, but for the end token, which is the first id and a piece of the table."""
    made = Tokenizer(models.BPE())
    made.normalizer = normalizer
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.train_from_iterator(
        _TEXTS,
        trainer=tokenizers.trainers.BpeTrainer(
            vocab_size=size,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            special_tokens=[END, TURN],
            show_progress=False,
        ),
    )
    made.enable_truncation(5)
    made.enable_padding(length=9)
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single=f"{END} $A", special_tokens=[(END, 0)]
    )
    return made


def whole_words() -> Tokenizer:
    """As Llama 3 has it: words are looked up whole, special tokens lie behind, one added is not."""
    made = byte_level()
    record = json.loads(made.to_str())
    vocabulary = {t: i for i, t in enumerate(t for t in record["model"]["vocab"] if t[0] != "<")}
    vocabulary |= {"<": len(vocabulary), END: len(vocabulary) + 1}
    other = Tokenizer(
        models.BPE(
            vocab=vocabulary,
            merges=[tuple(merge) for merge in record["model"]["merges"]],
            ignore_merges=True,
        )
    )
    other.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    other.decoder = decoders.ByteLevel()
    other.add_special_tokens([END, TURN])
    other.add_tokens([AddedToken("<tool>", special=False), AddedToken("é–", special=False)])
    return other


def byte_fallback() -> Tokenizer:
    """As Llama 2 has it: a mark for the space, one before each text, unknown text by its bytes."""
    tokens = ["<unk>", "<s>", END, *_byte_tokens()]
    merges = [("▁", "t"), ("h", "e"), ("▁t", "he"), ("▁", "▁"), ("c", "a"), ("ca", "t")]
    tokens += [*"▁theca<s>", *("".join(pair) for pair in merges)]
    made = Tokenizer(
        models.BPE(
            vocab={token: i for i, token in enumerate(dict.fromkeys(tokens))},
            merges=merges,
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    made.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    made.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    made.add_special_tokens(["<unk>", "<s>", END])
    return made


def unigram() -> Tokenizer:
    """As XLNet has it, with bytes: the likeliest pieces, among which special tokens are listed."""
    pieces = [("<unk>", 0.0), ("<s>", 0.0), (END, 0.0)]
    pieces += [(token, 0.0) for token in _byte_tokens()]
    spelled = ["▁the", "▁cat", "▁", "the", "at", *"thecaonsmdg.,"]
    pieces += [(token, -2.0 - n) for n, token in enumerate(dict.fromkeys(spelled))]
    made = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=True))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    made.add_special_tokens(["<unk>", "<s>", END])
    return made


def words() -> Tokenizer:
    """Whole words, and none for any other: text is lost."""
    made = Tokenizer(models.WordLevel({END: 0, "[UNK]": 1, "the": 2, "cat": 3}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.add_special_tokens([END, "[UNK]"])
    return made


def lowering() -> Tokenizer:
    """Reads everything in lower case and in a normal form."""
    steps = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    return byte_level(normalizer=steps)


LOSSLESS = {
    "byte level": byte_level,
    "whole words": whole_words,
    "byte fallback": byte_fallback,
    "unigram": unigram,
}


def borrow(store: ContentStore, made: Tokenizer, name: str = "base") -> TokenizerHandle:
    """Such a tokenizer as that of a run that goes on from a model."""
    folder = store.root.parent / f"{name}-folder"
    folder.mkdir()
    made.save(str(folder / "tokenizer.json"))
    facts = {"vocab_size": made.get_vocab_size() + 3, "end_id": made.token_to_id(END)}
    (folder / "base.json").write_text(json.dumps(facts))
    return borrow_tokenizer(store, folder, f"key-of-{name}")


def _byte_tokens() -> list[str]:
    digits = "0123456789ABCDEF"
    return [f"<0x{first}{second}>" for first, second in itertools.product(digits, repeat=2)]
