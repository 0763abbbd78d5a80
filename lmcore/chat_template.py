"""A conversation as one text, by the template that came with a model.

In: messages with their roles, and a template in the language of Jinja.  Out: the text that the
model learnt to go on with.  The template is a stranger's program: it runs in a sandbox, from where
it reaches neither files nor objects of ours, and before it is kept it is tried in a process of its
own that may take little time and memory.

What a template may use is what the field gives it: `messages`, `add_generation_prompt`, the names
of two tokens, `raise_exception`, `strftime_now`, and the filter `tojson` (documentation of the
`transformers` library, "Chat templates").
"""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic_core import PydanticSerializationError

from lmcore.errors import SourceError, UserError
from lmcore.settings import Section, short

#: Of a template; the longest in use have about 20,000.
MOST_CHARACTERS = 1 << 16
_TRIAL_SECONDS = 5
_TRIAL_BYTES = 1 << 30
_TRIAL: Sequence[Mapping[str, str]] = (
    {"role": "user", "content": "Hello."},
    {"role": "assistant", "content": "Hello, too."},
    {"role": "user", "content": "How are you?"},
)


class ChatTemplate(Section):
    """How a model wants to be talked to.

    Attributes:
        template: In the language of Jinja.
        bos_token: Name of the token that begins a text, as the template may ask for it.
        eos_token: Name of the one that ends a turn, as above.
        ends: Names of the tokens that end an answer, beside the one that ends documents.
    """

    template: str
    bos_token: str = ""
    eos_token: str = ""
    ends: tuple[str, ...] = ()

    def render(self, messages: Sequence[Mapping[str, str]]) -> str:
        """The text behind which the answer belongs.

        Args:
            messages: `role` and `content` of each.

        Raises:
            UserError: If the template does not take this conversation.
        """
        try:
            return _compiled(self.template).render(
                messages=[dict(message) for message in messages],
                add_generation_prompt=True,
                bos_token=self.bos_token,
                eos_token=self.eos_token,
            )
        except Exception as error:  # a template may raise whatever its expressions raise
            said = f"{error}".strip() or type(error).__name__
            raise UserError(
                f"the model's chat template does not take this conversation: {short(said)}"
            ) from error

    def check(self, where: str) -> None:
        """Try it on a short conversation, where it can do no harm.

        Args:
            where: It came from.

        Raises:
            SourceError: If it is too long, or what it writes cannot be had.
        """
        if len(self.template) > MOST_CHARACTERS:
            raise SourceError(
                f"{where}: {len(self.template):,} characters; a chat template has at most"
                f" {MOST_CHARACTERS:,}. Take it out of the model's folder to go without"
            )
        try:
            done = subprocess.run(
                [sys.executable, "-m", __name__],
                input=self.model_dump_json(),
                capture_output=True,
                text=True,
                timeout=3 * _TRIAL_SECONDS,
                check=False,
            )
            said = done.stderr.strip().splitlines()[-1:] or ["it took too much time or memory"]
            reason = said[0] if done.returncode else ""
        except (subprocess.TimeoutExpired, UnicodeDecodeError):
            reason = "it took too much time or memory"
        except PydanticSerializationError:
            reason = "it holds half of a character, a lone surrogate"
        if reason:
            raise SourceError(
                f"{where}: a chat template that cannot be used ({short(reason)}); restore it, or"
                " take it out of the model's folder to go without"
            )


@functools.lru_cache(maxsize=16)
def _compiled(source: str) -> Template:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    # That of Jinja writes for web pages.
    environment.filters["tojson"] = functools.partial(json.dumps, ensure_ascii=False)
    environment.globals.update(raise_exception=_refuse, strftime_now=_now)
    return environment.from_string(source)


def _refuse(message: Any) -> NoReturn:
    raise TemplateError(str(message))


def _now(form: str) -> str:
    return datetime.now().strftime(form)


def _try() -> None:
    """Render the template that standard input holds, with little time and memory."""
    import resource

    resource.setrlimit(resource.RLIMIT_CPU, (_TRIAL_SECONDS, _TRIAL_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (_TRIAL_BYTES, _TRIAL_BYTES))
    template = ChatTemplate.model_validate_json(sys.stdin.read())
    try:
        template.render(_TRIAL)
    except UserError as error:
        raise SystemExit(str(error.__cause__) or type(error.__cause__).__name__) from None


if __name__ == "__main__":
    _try()
