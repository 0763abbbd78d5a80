"""The card is a valid Hugging Face card, offline, and no text of a stranger can break it."""

import socket

import pytest
import yaml
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

from lmcore.reporting.version.card import render_card
from lmcore.reporting.version.facts.report import ReportData

MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
ACTIVE = {"html_block", "html_inline", "link_open", "image", "s_open", "em_open", "code_inline"}


def parsed(text: str) -> tuple[list[str], set[str], list[str]]:
    """Headings, kinds of all tokens, and what the fences hold."""
    tokens = MARKDOWN.parse(text)
    headings = [tokens[i + 1].content for i, t in enumerate(tokens) if t.type == "heading_open"]
    kinds = {t.type for t in tokens} | {c.type for t in tokens for c in t.children or []}
    return headings, kinds, [t.content for t in tokens if t.type == "fence"]


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    def refuse(*_: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_the_metadata_are_those_of_the_hub(report_data):
    card = ModelCard(render_card(report_data))
    assert card.data.pipeline_tag == "text-generation"
    assert card.data.library_name == "lmcore"
    assert (card.data.license, card.data.license_name) == ("other", "cc-pdm-1.0")
    assert card.data.get("language") is None
    result = card.data.eval_results[0]
    assert (result.metric_type, result.metric_value) == ("val_bits_per_byte", 1.5031)
    assert result.metric_name == "Held-out text (95 % bounds: 1.482 to 1.526)"
    assert result.dataset_revision == "3f" * 32


def test_languages_are_those_of_the_hub(report_of):
    sizes = {"no": 700, "en": 200, "und": 60, "x\ny: [": 40}
    text = render_card(report_of(documents={"languages": sizes}))
    assert ModelCard(text).data.language == ["no", "en"]
    assert "Language of the text: no 70 %, en 20 %, not told 6 %" in text
    assert "Language of the text: not known." in render_card(report_of(documents={}))


@pytest.mark.parametrize(
    ("licenses", "expected", "name"),
    [
        ({"CC0-1.0": 10}, "cc0-1.0", None),
        ({"ODC-By-1.0": 10}, "odc-by", None),
        ({"unknown": 10}, "unknown", None),
        ({"MIT OR Apache-2.0": 10}, "other", "mit-or-apache-2.0"),
        ({"CC0-1.0": 10, "MIT": 20}, "other", "mit-and-cc0-1.0"),
        ({}, "unknown", None),
    ],
)
def test_the_licence_is_written_as_the_hub_writes_it(licenses, expected, name):
    data = ReportData(model="m", outcome="promoted", documents={"licenses": licenses})
    metadata = ModelCard(render_card(data)).data
    assert (metadata.license, metadata.license_name) == (expected, name)


def test_the_card_has_its_sections(report_data):
    text = ModelCard(render_card(report_data)).text
    headings, kinds, fences = parsed(text)
    assert headings == [
        "Model: annual-messages, version 3",
        *("Intended use and limits", "Training data", "Cleaning and privacy"),
        *("Personal data masked", "Quarantine", "Other counts", "Evaluation", "Gates"),
        *("Samples, not chosen", "How to use it", "Risks, and what was checked"),
        *("Time and environment", "Reproduction", "Fingerprints (SHA-256)", "Training plan"),
        "Configuration",
    ]
    assert not kinds & ACTIVE
    assert fences[2] == (
        "lmcore generate --prompt 'Some text' --model annual-messages --version 3\n"
    )
    assert "load_model('models:/annual-messages/3')" in fences[3]
    assert "'sqlite:///.lmcore/mlflow/mlflow.db'))\n" in fences[3]
    assert "predict({'prompt': ['Some text']})" in fences[3]
    assert "| Memorisation |" in text
    assert "| Private data | Masking finds" in text
    assert "not checked for this version" in text


def test_the_snippet_names_the_store_and_the_column(report_of):
    address = "sqlite:////srv/a 'b'/mlflow.db"
    snippet = parsed(render_card(report_of(tracking_uri=address, task="sentiment")))[2][3]
    assert f"os.environ.get('MLFLOW_TRACKING_URI', {address!r}))" in snippet
    assert "predict({'text': ['Some text']})" in snippet
    compile(snippet, "card", "exec")


def test_hostile_text_breaks_no_card(report_of, hostile_data):
    card = render_card(hostile_data)
    front = card.split("\n---\n")[0].removeprefix("---\n")
    assert set(yaml.safe_load(front)) >= {"license", "model-index", "tags"}
    expected = [h for h in parsed(render_card(report_of(task="x")))[0] if h[0].isupper()]
    headings, kinds, fences = parsed(ModelCard(card).text)
    fixed = [h for h in headings if not h.startswith(("Model: ", "&lt;", "List"))]
    assert fixed == [h for h in expected if not h.startswith(("Model: ", "Quarantine"))]
    assert not kinds & ACTIVE
    assert fences[0] == "<script>document.title='pwned'</script>" * 2 + "\n"
    card.encode("utf-8")


def test_a_bare_candidate_has_a_card_that_promises_nothing():
    card = ModelCard(render_card(ReportData(model="m", outcome="rejected")))
    assert card.data.eval_results is None
    for sentence in (
        "Nothing was measured.",
        "The sources were not recorded",
        "cannot be loaded by name",
        "Neither time nor energy was recorded.",
    ):
        assert sentence in card.text


def test_a_metric_that_is_not_finite_is_not_published(report_of):
    broken = {"val_bits_per_byte": {"value": float("nan"), "unit": "bits/byte", "n": 1}}
    card = ModelCard(render_card(report_of(metrics=broken)))
    assert card.data.eval_results is None
    assert "| Held-out text | – |  | bits/byte | 1 |" in card.text


@pytest.mark.parametrize("kind", ["report_data", "hostile_data"])
def test_the_same_data_give_the_same_card(kind, request):
    data = request.getfixturevalue(kind)
    assert render_card(data) == render_card(data)


def test_a_card_without_a_number_names_the_weights_and_loads_the_champion():
    data = ReportData(model="m", outcome="passed", fingerprints={"weights": "ab" * 32})
    card = render_card(data)
    assert "m, weights abababab" in card
    assert "models:/m@champion" in card
    assert "--version champion" in card
    assert "not registered" not in card


def test_what_a_budget_left_is_said(report_of, report_data):
    sentence = "within 600 seconds of the models' time: 41 of 213 held-out documents"
    assert f"The gates judged {sentence}" in render_card(report_of(budget=sentence))
    assert "The gates judged" not in render_card(report_data)


PRETRAINED = {
    "name": "small",
    "architecture": "LlamaForCausalLM",
    "parameters": 1_000_000,
    "source": f"owner/small@{'a' * 40}",
    "license": "Apache-2.0",
    "origin": "somebody | <b>else</b>",
    "known_until": "2024-12-31",
    "weights": "f" * 64,
}


def test_what_it_was_made_from_and_what_that_may_have_read_is_said_plainly(report_of):
    text = render_card(report_of(pretrained=PRETRAINED))
    headings, kinds, _ = parsed(text.split("---", 2)[2])
    assert "Pretrained model" in headings
    assert not kinds & ACTIVE
    assert "small was trained on text that is not recorded here: it may have read any text" in text
    assert "no text later than 2024-12-31" in text
    assert "knows nothing beyond its training text" not in text
    assert "started from small" in text
    card = ModelCard(text)
    assert card.data.base_model == "owner/small"
    assert (card.data.license, card.data.license_name) == ("other", "cc-pdm-1.0-and-apache-2.0")
    unknown = render_card(
        report_of(pretrained={**PRETRAINED, "known_until": None, "source": "x/y"})
    )
    assert "Until when the text goes that it has read is not known." in unknown
    assert ModelCard(unknown).data.get("base_model") is None


def test_a_model_from_random_weights_has_no_such_words(report_data):
    text = render_card(report_data)
    assert "Pretrained" not in text
    assert "knows nothing beyond its training text" in text
