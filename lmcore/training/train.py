"""The train step: shards and configuration in, a `Checkpoint` out.

Resume state lives outside the content store, in `work_dir/<key>`: first the plan, then
resume points. The same call goes on from there after a crash, and clears it
away once the checkpoint stands.

`carry_out` does the work: here, or on each of the processes that `launch` starts.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from lmcore.counted import counted
from lmcore.data.tokens.batches import BatchOrder
from lmcore.data.tokens.corpus import Corpus
from lmcore.data.tokens.layout import Layout, plan_layout
from lmcore.data.tokens.shards import ShardSet
from lmcore.data.tokens.token_stream import TokenStream
from lmcore.data.tokens.tokenizer import TokenizerHandle
from lmcore.digests import code_digest, sha256_file
from lmcore.errors import ConfigError
from lmcore.model.config import AnyModelConfig
from lmcore.model.factory import load_model, new_model, save_model
from lmcore.model.language_model import WEIGHTS_FILE, LanguageModel
from lmcore.model.pretrained.base import Base
from lmcore.training.attempt import Attempt
from lmcore.training.checkpoint import Checkpoint, Consumed
from lmcore.training.config import HOW_IT_IS_RUN, TrainingConfig
from lmcore.training.distributed import ALONE, World
from lmcore.training.events import Listener
from lmcore.training.launch.files import Job
from lmcore.training.launch.launcher import launch
from lmcore.training.objective import NextToken
from lmcore.training.plan import Plan
from lmcore.training.run import Subject, find_device, follow

__all__ = ["carry_out", "find_device", "train"]

CODE_MODULES = (
    "lmcore.data.tokens.batches",
    "lmcore.data.tokens.layout",
    "lmcore.data.tokens.shards",
    "lmcore.data.tokens.token_stream",
    "lmcore.model",
    "lmcore.training",
)


def train(
    attempt: Attempt,
    corpus: Corpus,
    *,
    model: AnyModelConfig,
    training: TrainingConfig,
    replay: Plan | None = None,
    initial: Path | None = None,
    base: Base | None = None,
) -> Checkpoint:
    """Train a model, or return the one that these inputs made before.

    Args:
        attempt: Where it is done and who attends it.
        corpus: Text with the splits train and tune.
        model: Shape of the model.
        training: Budget and optimization.
        replay: A recorded plan to follow instead of probing this machine.
        initial: Folder of a model of this shape whose weights are the start; None: random ones,
            or those of the base.
        base: The model that a pretrained one begins with.

    Returns:
        The checkpoint. Its summary: steps, best_step, tokens_seen, epochs_seen,
        train_tokens_per_second, params, train_seconds, tune_bits_per_byte and
        final_tune_bits_per_byte (None without tune text), weights_sha256 (of the best
        weights), final_weights_sha256, precision, dropout, weight_decay, stopped_early,
        recoveries.

    Raises:
        ConfigError: If the device is not there, the processes cannot share the lanes, or
            `training.start` is champion and there are no weights to start from.
        SourceError: If there is too little text.
        TrainingInterrupted: If asked to stop; the same call goes on.
        TrainingError: If the loss diverges twice, or a process fails or takes too long.
    """
    inputs = {
        "shards": corpus.shards.key,
        "tokenizer": corpus.tokenizer.key,
        "model": model.model_dump(mode="json"),
        "training": training.model_dump(mode="json", exclude=set(HOW_IT_IS_RUN)),
        "replay": None if replay is None else replay.model_dump(mode="json"),
        "code": code_digest(*CODE_MODULES),
        "nonce": attempt.nonce,
    }
    if base is not None:
        inputs["base"] = base.key
    if initial is not None:
        inputs["initial"] = sha256_file(initial / WEIGHTS_FILE)
    elif training.start == "champion":
        raise ConfigError(
            "training.start is champion, but there are no weights to start from; set it to scratch"
        )
    folder = attempt.work_dir / attempt.store.key(Checkpoint.kind, inputs)[:32]

    if replay is not None and replay.processes != training.processes:
        raise ConfigError(
            f"the recorded plan is for {counted(replay.processes, 'process', 'processes')}, but"
            f" training.processes is {training.processes}; set it to {replay.processes}"
        )

    def make(output: Path) -> Mapping[str, Any]:
        layout = _layout(corpus.train_stream, training)
        if layout.batch_size % training.processes:
            raise ConfigError(
                f"the train split fills {counted(layout.batch_size, 'lane')}, which"
                f" training.processes={training.processes} cannot share equally; use fewer, or"
                " lower training.sequence_length"
            )
        if training.launcher != "external":  # the ranks may be on better machines than this one
            find_device(training)
        job = Job(
            shards=corpus.shards.path,
            shards_key=corpus.shards.key,
            tokenizer=corpus.tokenizer.path,
            tokenizer_key=corpus.tokenizer.key,
            model=model,
            training=training,
            replay=replay,
            initial=initial,
            base=base.path if base else None,
            folder=folder,
            output=output,
            threads=max(1, torch.get_num_threads() // training.processes_of_a_host),
        )
        work = carry_out if training.launcher == "local" else launch
        with attempt.shared(folder) as on_event:
            return work(job, on_event=on_event, should_stop=attempt.should_stop)

    checkpoint = attempt.store.build(Checkpoint, inputs, make)
    attempt.done(folder)
    return checkpoint


def carry_out(
    job: Job,
    *,
    on_event: Listener | None = None,
    should_stop: Callable[[], bool] | None = None,
    world: World = ALONE,
) -> Mapping[str, Any]:
    """Plan, train and fill the folder of a checkpoint, alone or as one rank of many.

    Args:
        job: What to train; rank 0 fills its output.
        on_event: Rank 0's listener.
        should_stop: Rank 0's question.
        world: The ranks.

    Returns:
        The summary; empty on the other ranks.
    """
    started = time.perf_counter()
    model, training = job.model, job.training
    loaded = TokenizerHandle(key=job.tokenizer_key, path=job.tokenizer).load()
    shards = ShardSet(key=job.shards_key, path=job.shards)
    stream, tune = shards.stream("train"), shards.stream("tune")
    layout = _layout(stream, training)
    order = BatchOrder(
        stream=stream, layout=layout, seed=training.seed, carries_state=model.carries_state
    )

    @functools.cache  # the probe makes a model too
    def counts() -> torch.Tensor:
        return torch.from_numpy(stream.frequencies(loaded.vocab_size))

    def start(dropout: float, device: str) -> nn.Module:
        made = new_model(
            model,
            dropout=dropout,
            base=job.base,
            vocab_size=loaded.vocab_size,
            end_id=loaded.end_id,
            seed=training.seed,
            device=device,
        )
        if job.initial is None:
            made.expect(counts())
        else:
            made.take_over(load_model(job.initial, device))
        return made

    def save(trained: nn.Module, place: Path) -> None:
        assert isinstance(trained, LanguageModel)
        save_model(trained, place)

    def consumed(steps: int) -> Consumed:
        tokens = steps * layout.tokens_per_step
        return Consumed(
            steps=steps,
            tokens=tokens,
            epochs=tokens / len(stream),
            ranges=order.consumed(steps),
        )

    subject = Subject(
        objective=NextToken(
            order=order,
            tune=tune,
            piece_bytes=np.array([len(piece) for piece in loaded.pieces], dtype=np.int64),
            carries_state=model.carries_state,
        ),
        layout=layout,
        tune_tokens=len(tune) if len(tune) > 1 else 0,
        dropout=model.dropout,
        new_model=start,
        save=save,
        consumed=consumed,
        started=started,
    )
    return follow(
        job.output,
        subject,
        training=training,
        folder=job.folder,
        replay=job.replay,
        on_event=on_event,
        should_stop=should_stop,
        world=world,
    )


def _layout(stream: TokenStream, training: TrainingConfig) -> Layout:
    return plan_layout(
        len(stream), batch_size=training.batch_size, sequence_length=training.sequence_length
    )
