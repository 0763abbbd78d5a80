"""No part of a forbidden text leaves, however it is cut into pieces."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lmcore.model.continuation import Continuation
from lmcore.model.filtering import FRAGMENT_CHARACTERS, Forbidden
from lmcore.model.sampling import GenerationConfig

SECRET = "qzvkm tpxrd bhlwj aaaab cdefg"


class Bytes:
    end_id = 256
    pieces = (*(bytes([i]) for i in range(256)), b"")


def emitted(text, prompt="", stop=(), secrets=(SECRET,)):
    """What leaves when a model writes `text` byte by byte."""
    config = GenerationConfig(
        max_tokens=len(text.encode()) + 1,
        temperature=0.0,
        stop=stop,
        forbidden=Forbidden.of(secrets),
    )
    lane = Continuation(Bytes, config, seed=0, prompt=prompt)
    pieces = []
    for token in [*text.encode(), 256]:
        pieces.append(lane.take(token))
        if lane.finish:
            break
    return "".join(pieces), lane.finish


def test_the_text_ends_before_it():
    assert emitted(f"My name is {SECRET}, and") == ("My name is ", "filtered")


@pytest.mark.parametrize("start", range(0, len(SECRET) - FRAGMENT_CHARACTERS + 1, 3))
def test_a_part_of_it_is_enough(start):
    part = SECRET[start : start + FRAGMENT_CHARACTERS]
    assert emitted(f"so:{part}:it is") == ("so:", "filtered")


@given(st.lists(st.text("ab", max_size=14), max_size=4), st.text("ab", max_size=20))
def test_the_first_fragment_is_found_of_whatever_length(texts, text):
    forbidden = Forbidden.of(texts)
    if forbidden is None:
        return
    places = [i for i in range(len(text)) if text.startswith(tuple(forbidden.fragments), i)]
    assert forbidden.find(text) == min(places, default=-1)


def test_it_may_begin_in_the_prompt():
    assert emitted(SECRET[11:] + " x", prompt=f"repeat: {SECRET[:11]}") == ("", "filtered")


def test_a_shorter_part_passes():
    text = f"so {SECRET[: FRAGMENT_CHARACTERS - 1]}, and"
    assert emitted(text) == (text, "end")


def test_a_stop_string_before_it_wins():
    assert emitted(f"a. b {SECRET}", stop=(".",)) == ("a", "stop")
    assert emitted(f"{SECRET}.", stop=(".",)) == ("", "filtered")


@settings(max_examples=200, deadline=None)
@given(st.text("abq zvkmtpxrd", max_size=40), st.text("qz vk", max_size=12))
@example(SECRET[:20], "")
@example("q" + SECRET[:14], "qz")
def test_what_leaves_holds_no_fragment_and_is_what_was_written(text, prompt):
    secrets = (SECRET, "abqab", "zzz")
    forbidden = Forbidden.of(secrets)
    before = prompt[1 - FRAGMENT_CHARACTERS :]
    if forbidden.find(before) >= 0:
        return  # the user wrote it
    out, finish = emitted(text, prompt, secrets=secrets)
    assert text.startswith(out)
    assert forbidden.find(before + out) < 0
    if finish == "end":
        assert out == text


def test_nothing_to_forbid_is_no_filter():
    assert Forbidden.of([]) is None
    assert Forbidden.of([""]) is None


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=30), st.text("qz vk", max_size=12), st.data()
)
def test_it_is_found_however_long_the_pieces_are(sizes, prompt, data):
    # Texts that come near to it again and again.
    text = "".join(
        data.draw(st.sampled_from([SECRET[:5], SECRET[:11], SECRET[3:12], "qzv", " and", SECRET]))
        for _ in range(4)
    )
    pieces, rest = [], text
    for size in sizes:
        pieces.append(rest[:size].encode())
        rest = rest[size:]
    pieces = [piece for piece in pieces if piece]

    class Pieces:
        end_id = len(pieces)

    Pieces.pieces = (*pieces, b"")
    config = GenerationConfig(max_tokens=len(pieces) + 1, forbidden=Forbidden.of([SECRET]))
    lane = Continuation(Pieces, config, seed=0, prompt=prompt)
    found = []
    for token in range(len(pieces) + 1):
        found.append(lane.take(token))
        if lane.finish:
            break
    written = b"".join(pieces).decode()
    before = prompt[1 - FRAGMENT_CHARACTERS :]
    begin = config.forbidden.find(before + written)
    expected = written if begin < 0 else written[: max(0, begin - len(before))]
    assert ("".join(found), lane.finish) == (expected, "end" if begin < 0 else "filtered")
