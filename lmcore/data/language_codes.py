"""Codes of the languages that a text can be told to be in: ISO 639-1, else three letters.

Free of heavy imports: configurations name languages too.
"""

from __future__ import annotations

#: A text whose language is not told.
UNDETERMINED = "und"
# What a few sentences do not tell apart, and varieties that are written alike or hardly ever; `zxx`
# is text without a language.
_COUNTS_AS = {
    **{"ary": "ar", "arz": "ar", "bs": "hr", "grc": "el", "gug": "gn", "hbo": "he", "nn": "no"},
    **{"nb": "no", "sdh": "ku", "uzs": "uz", "wuu": "zh", "yue": "zh", "zxx": UNDETERMINED},
}
_CODES = """
ace af am an ar as az ba bcl be bg bn br ca crh cs cy da de dz el en eo es et eu ext fa fi fo fr
fuv fy ga gcf gcr gd gl gn gom gu guw ha he hi hr ht hu hy id ig is it ja jv ka kab kik kk km kn
ko ku ky la lb lg lij ln lo lt ltg lv mg mk ml mn mr ms mt my ne nl no nso oc om or pa pcm pl ps
pt qu ro ru rw sa se si sk sl sn so sq sr st sv sw ta te tg th tk tl tr tt ug uk ur uz vec vi vo
wa xh yo zh zu
"""
#: Codes that a text may get, beside `und`.
KNOWN = frozenset(_CODES.split())


def counts_as(code: str) -> str:
    """The code that a language counts as: `nn` and `nb` are Norwegian."""
    return _COUNTS_AS.get(code, code)
