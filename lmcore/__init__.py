"""lmcore: a team's own language models, as plain functions and small typed handles.

The package holds the nouns: data, model, training, evaluation, reporting.
It never imports an orchestrator or a tracking client; `flows` does that.
"""

__version__ = "0.2.0"
