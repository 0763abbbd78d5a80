"""A stranger's template writes what it should, reaches nothing, and is tried before it is kept."""

import pytest

from lmcore.chat_template import MOST_CHARACTERS, ChatTemplate
from lmcore.errors import SourceError, UserError

CHATML = (
    "{% for m in messages %}\n"
    "  {%- if m['role'] == 'tool' %}{% continue %}{% endif %}\n"
    "{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + eos_token + '\n' }}\n"
    "{%- endfor %}\n"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
HELLO = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello <&> é"}]


def test_it_writes_what_the_model_learnt_from() -> None:
    found = ChatTemplate(template=CHATML, eos_token="<|im_end|>").render(HELLO)
    assert found == (
        "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHello <&> é<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_it_is_what_the_library_writes() -> None:
    transformers = pytest.importorskip("transformers")
    import tokenizers

    other = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer(tokenizers.models.BPE()), eos_token="<|im_end|>"
    )
    source = CHATML + "{{ messages[0] | tojson }}{{ bos_token }}"
    expected = other.apply_chat_template(
        HELLO, chat_template=source, tokenize=False, add_generation_prompt=True, bos_token="<s>"
    )
    template = ChatTemplate(template=source, bos_token="<s>", eos_token="<|im_end|>")
    assert template.render(HELLO) == expected


def test_what_it_does_not_take_is_one_sentence() -> None:
    template = ChatTemplate(template="{{ raise_exception('Roles must alternate') }}")
    with pytest.raises(UserError, match="does not take this conversation: 'Roles must alternate'"):
        template.render(HELLO)


@pytest.mark.parametrize(
    "expression",
    [
        "''.__class__.__mro__[1].__subclasses__()",
        "raise_exception.__globals__['json']",
        "strftime_now.__code__",
        "messages.append(1)",
        "messages[0].update(role='x')",
        "self.__init__.__globals__",
        "range(10000000)|list",
    ],
)
def test_it_reaches_nothing(expression: str) -> None:
    template = ChatTemplate(template="{{ " + expression + " }}")
    try:
        written = template.render(HELLO)
    except UserError:
        return
    assert written == ""
    assert HELLO[0] == {"role": "system", "content": "Be kind."}


def test_one_that_works_is_kept() -> None:
    ChatTemplate(template=CHATML).check("model")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{% for m in messages %}", "Unexpected end of template"),
        ("{{ messages[7].content.strip() }}", "has no element 7"),
        ("{{ raise_exception('No!') }}", "No!"),
        ("x" * (MOST_CHARACTERS + 1), "65,537 characters"),
        ("{{ 'a' * 99999999999 }}", "MemoryError"),
        (
            "{% set many = range(99999) | list %}"
            "{% for a in many %}{% for b in many %}{% endfor %}{% endfor %}",
            "too much time or memory",
        ),
    ],
)
def test_one_that_does_not_is_refused_before(source: str, said: str) -> None:
    with pytest.raises(SourceError, match="go without") as refused:
        ChatTemplate(template=source).check("some/model: chat_template.jinja")
    assert said in str(refused.value)
    assert str(refused.value).startswith("some/model: chat_template.jinja: ")
