"""How far a run is, and the rules that look at nothing else: pure functions of numbers."""

from __future__ import annotations

import math

from lmcore.settings import Section

_SMOOTHING = 0.95
# A smooth loss this far above its lowest, or a loss twice that of a uniform guess, is no
# ordinary spike.
_EXPLODED_NATS = 2.0
# Bits per byte; less is no gain worth waiting for.
_MIN_GAIN = 0.0005


class Progress(Section):
    """How far a run is: all of its state that is not a tensor.

    Attributes:
        step: Steps done.
        seconds: Wall clock spent, summed over interruptions.
        step_seconds: The part of it spent in training steps.
        interval_nats: Sum of the step losses since the last line of the log.
        interval_steps: Number of them.
        looked_step: Step of the last look at the tune split, -1 before the first.
        best_step: Step of the best look at the tune split, -1 before the first.
        best_bits_per_byte: Its value.
        last_bits_per_byte: Value of the last look.
        looks_without_gain: Looks since the best one.
        stopped_early: Whether patience ran out.
        smooth_loss: Moving average of the loss; None before the first step.
        lowest_smooth_loss: Its lowest value so far.
        recoveries: Times that the run went back after a divergence.
    """

    step: int = 0
    seconds: float = 0.0
    step_seconds: float = 0.0
    interval_nats: float = 0.0
    interval_steps: int = 0
    looked_step: int = -1
    best_step: int = -1
    best_bits_per_byte: float | None = None
    last_bits_per_byte: float | None = None
    looks_without_gain: int = 0
    stopped_early: bool = False
    smooth_loss: float | None = None
    lowest_smooth_loss: float | None = None
    recoveries: int = 0

    def after_step(self, loss_nats: float, *, seconds: float) -> Progress:
        """Count a step that took so many seconds."""
        smooth = loss_nats
        if self.smooth_loss is not None:
            smooth = _SMOOTHING * self.smooth_loss + (1.0 - _SMOOTHING) * loss_nats
        lowest = self.lowest_smooth_loss
        return self.changed(
            step=self.step + 1,
            seconds=self.seconds + seconds,
            step_seconds=self.step_seconds + seconds,
            interval_nats=self.interval_nats + loss_nats,
            interval_steps=self.interval_steps + 1,
            smooth_loss=smooth,
            lowest_smooth_loss=smooth if lowest is None else min(lowest, smooth),
        )

    def after_look(self, bits_per_byte: float, *, patience: int) -> Progress:
        """Count a look at the tune split; the best one so far has `best_step == step` then.

        A gain too small to wait for still makes the best weights, but uses up patience.
        """
        finite = math.isfinite(bits_per_byte)
        best = math.inf if self.best_bits_per_byte is None else self.best_bits_per_byte
        clearly = finite and bits_per_byte < best - _MIN_GAIN
        looks = 0 if clearly else self.looks_without_gain + 1
        after = self.changed(
            looked_step=self.step,
            last_bits_per_byte=bits_per_byte if finite else None,
            looks_without_gain=looks,
            stopped_early=looks >= patience,
        )
        if finite and bits_per_byte < best:
            after = after.changed(best_step=self.step, best_bits_per_byte=bits_per_byte)
        return after

    def diverged(self, loss_nats: float, *, grad_norm: float, vocab_size: int) -> bool:
        """Whether a step's result shows that the run went wrong; it must not be applied."""
        if not (math.isfinite(loss_nats) and math.isfinite(grad_norm)):
            return True
        if self.smooth_loss is None or self.lowest_smooth_loss is None:
            return False
        exploded = self.smooth_loss > self.lowest_smooth_loss + _EXPLODED_NATS
        return exploded or loss_nats > 2.0 * math.log(vocab_size) + _EXPLODED_NATS

    def changed(self, **values: object) -> Progress:
        """A copy with some values replaced."""
        return self.model_copy(update=values)
