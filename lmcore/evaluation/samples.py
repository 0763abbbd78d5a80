"""A few texts of a model for people to read: seeded, beside the figures, judged by nobody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lmcore.data.documents import Document
from lmcore.data.tokens.tokenizer import Tokenizer
from lmcore.model.filtering import Forbidden
from lmcore.model.generation import GenerationConfig, generate_batch
from lmcore.model.language_model import LanguageModel

SAMPLE_TOKENS = 150
SAMPLE_TEMPERATURE = 0.8
NUM_SAMPLES = 4
_PROMPT_CHARACTERS = 40


def draw_samples(
    model: LanguageModel,
    tokenizer: Tokenizer,
    *,
    texts: Sequence[Document],
    seed: int,
    forbidden: Forbidden | None = None,
    count: int = NUM_SAMPLES,
) -> list[dict[str, Any]]:
    """Continue nothing, and how a few documents begin.

    Args:
        model: In evaluation mode.
        tokenizer: The one that it was trained with.
        texts: Documents that it was judged on.
        seed: Of the first; each has its own.
        forbidden: What must not be shown.
        count: At most so many.

    Returns:
        JSON values with prompt, text, tokens, finish, seed and temperature.
    """
    openings = (_opening(document.text) for document in texts[: NUM_SAMPLES - 1])
    prompts = ["", *openings][:count]
    config = GenerationConfig(
        max_tokens=SAMPLE_TOKENS,
        temperature=SAMPLE_TEMPERATURE,
        seed=seed,
        forbidden=forbidden,
    )
    found = generate_batch(model, tokenizer, prompts, config)
    return [
        {
            "prompt": prompt,
            "text": sample.text,
            "tokens": sample.tokens,
            "finish": sample.finish,
            "seed": seed + index,
            "temperature": config.temperature,
        }
        for index, (prompt, sample) in enumerate(zip(prompts, found, strict=True))
    ]


def _opening(text: str) -> str:
    """The first words of a text."""
    start = text.lstrip()[: _PROMPT_CHARACTERS + 1]
    return start.rsplit(None, 1)[0] if len(start) > _PROMPT_CHARACTERS else start
