"""Models made and read: the one place that knows which kinds there are.

In: a configuration, or the folder of a stored model.  Out: a `LanguageModel`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from lmcore.durable import atomic_write
from lmcore.errors import IntegrityError
from lmcore.model.config import AnyModelConfig, ModelConfig, PretrainedConfig
from lmcore.model.language_model import CONFIG_FILE, WEIGHTS_FILE, LanguageModel, learnt, restore
from lmcore.model.recurrent.files import read_model
from lmcore.model.recurrent.model import RecurrentAttentionLM


def new_model(
    config: AnyModelConfig,
    *,
    vocab_size: int,
    end_id: int,
    seed: int,
    device: str,
    dropout: float | None = None,
    base: Path | None = None,
) -> LanguageModel:
    """A model before its training: a function of its seed; the caller's random state is left alone.

    Args:
        config: Which one.
        vocab_size: V, the end token included.
        end_id: Token that starts and ends documents.
        seed: Of what is random in it.
        device: Where it goes.
        dropout: Rate that a plan resolved; None: the configured one.
        base: Folder of the model that is gone on from (`lmcore.model.pretrained.base`).
    """
    if isinstance(config, PretrainedConfig):
        from lmcore.model.pretrained.model import PretrainedLM
        from lmcore.model.pretrained.shelf import verified

        assert base is not None, "a pretrained model begins with its base"
        begun = PretrainedLM(
            config, verified(base), vocab_size=vocab_size, end_id=end_id, seed=seed
        )
        return begun.to(device)
    if dropout is not None:
        config = config.model_copy(update={"dropout": dropout})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = RecurrentAttentionLM(config, vocab_size, end_id)
    return model.to(device)


def calls_blocks_once(model: LanguageModel) -> bool:
    """Whether a step of training calls each of its blocks once, whatever stands in its rows."""
    from lmcore.model.pretrained.model import PretrainedLM

    return not isinstance(model, PretrainedLM) or model.body.packs


def base_of(folder: Path) -> Path | None:
    """The folder of the base that a stored model began with; None where it began with none.

    Raises:
        IntegrityError: If the model's record cannot be read, or its base is not here.
    """
    from lmcore.model.pretrained import shelf
    from lmcore.model.pretrained.base import reference_of

    reference = reference_of(folder)
    return None if reference is None else shelf.find(reference.key)


def untouched(model: LanguageModel) -> LanguageModel | None:
    """The model that another began with, before it learnt anything; None: random weights."""
    if model.began_with is None:
        return None
    record = model.record()
    return untrained({**record, "config": {**record["config"], "adapt": "full"}}).eval()


def untrained(record: Mapping[str, Any]) -> LanguageModel:
    """A model as its record describes it, whose weights are still to be put in.

    Raises:
        ValueError, KeyError, TypeError: If it is no such record.
    """
    sizes = {"vocab_size": int(record["vocab_size"]), "end_id": int(record["end_id"])}
    if "base" in record:
        from lmcore.model.pretrained import shelf
        from lmcore.model.pretrained.model import PretrainedLM

        base = shelf.verified(shelf.find(str(record["base"]["key"])))
        return PretrainedLM(PretrainedConfig.model_validate(record["config"]), base, **sizes)
    return RecurrentAttentionLM(ModelConfig.model_validate(record["config"]), **sizes)


def save_model(model: LanguageModel, folder: Path) -> None:
    """Write `model.safetensors` and `model.json` into an existing folder."""
    # A tied head has no tensor of its own, so nothing is stored twice.
    weights = {
        name: tensor.detach().to("cpu", torch.float32).contiguous()
        for name, tensor in learnt(model).items()
    }
    save_file(weights, folder / WEIGHTS_FILE)
    atomic_write(folder / CONFIG_FILE, json.dumps(model.record(), indent=1))


def load_model(folder: Path, device: torch.device | str = "cpu") -> LanguageModel:
    """Read a model that `save_model` wrote, in evaluation mode and float32.

    Raises:
        IntegrityError: If a file is missing or unreadable, or names and shapes do not fit.
    """
    path = folder / CONFIG_FILE
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        path = folder / WEIGHTS_FILE
        weights = load_file(path, device=str(device))
        if wrong := sorted(name for name, t in weights.items() if t.dtype != torch.float32):
            raise ValueError(f"{wrong[0]} is {weights[wrong[0]].dtype}; expected torch.float32")
        model: LanguageModel
        if "base" in record:
            model = untrained(record).to(device)
            restore(model, weights)
        else:
            model = read_model(record, weights, device).requires_grad_(True)
    except IntegrityError:
        raise  # of the base, which says what is wrong
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        reason = str(error).replace("\n", " ")
        if isinstance(error, ValidationError):
            reason = "; ".join(f"{e['loc']}: {e['msg']}" for e in error.errors())
        raise IntegrityError(
            f"{path}: not a model that can be read ({type(error).__name__}: {reason[:300]});"
            " nothing was loaded. Restore the folder or train again"
        ) from error
    return model.eval()
