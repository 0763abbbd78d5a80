"""Every error that a user or a flow is expected to meet.

    LmcoreError                 exit code 1: something broke
    ├── UserError               exit code 2: the input, the config or a file is wrong
    │   ├── ConfigError         a key or a value of the configuration
    │   ├── SourceError         a source of text that cannot be used at all
    │   ├── IntegrityError      a file of ours is not what its manifest says
    │   └── NotFoundError       a model, version or document that does not exist
    ├── StorageError            a disk is full or fails
    ├── TrainingError           the loss diverged, or a resume is impossible
    ├── EmptyEvaluationError    a metric was asked for without data
    │   └── NotFiniteError      a measured value is NaN or infinite
    └── PromotionConflictError  the champion changed while a candidate was judged

A message states what happened, the value, and what to do next, in one sentence.
"""


class LmcoreError(Exception):
    """Base of every error that this project raises on purpose."""

    exit_code = 1


class UserError(LmcoreError, ValueError):
    """The user's input, configuration or file is wrong."""

    exit_code = 2


class ConfigError(UserError):
    """A key or a value of the configuration is wrong."""


class SourceError(UserError):
    """A source of text is missing, unreadable as a whole, or too small to use."""


class IntegrityError(UserError):
    """A stored file differs from its manifest; nothing is loaded from it."""


class NotFoundError(UserError):
    """The named model, version or document does not exist."""


class StorageError(LmcoreError, OSError):
    """A disk is full, fails, or cannot be written; what was stored before is whole.

    Whoever goes on without what could not be stored catches it as an `OSError`.
    """

    def __str__(self) -> str:
        """The sentence; an `OSError` would begin it with its number."""
        return str(self.args[0]) if self.args else ""


class TrainingError(LmcoreError):
    """Training cannot go on."""


class EmptyEvaluationError(LmcoreError):
    """A metric has no data; it never silently becomes zero."""


class NotFiniteError(EmptyEvaluationError):
    """A measured value is NaN or infinite; it fails and is never left out."""


class PromotionConflictError(LmcoreError):
    """Another promotion changed the champion first."""
