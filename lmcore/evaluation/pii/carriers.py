"""Sentences that made-up personal data is planted into, in the languages of the forms.

`{}` is where the span stands.  Chinese, Japanese and Thai have no blank beside it, Korean and
Turkish put endings right behind it.
"""

from __future__ import annotations

from collections.abc import Mapping

#: Language by region, where it is not English.
LANGUAGES: Mapping[str, str] = {
    **dict.fromkeys(("DE", "AT", "CH"), "de"),
    **dict.fromkeys(("FR", "BE", "LU"), "fr"),
    **dict.fromkeys(("ES", "ES2", "MX", "AR", "CL", "CO"), "es"),
    **dict.fromkeys(("PT", "BR"), "pt"),
    **dict.fromkeys(("IT", "NL", "PL", "CZ", "SE", "DK", "NO", "FI", "RU", "TR"), ""),
    **dict.fromkeys(("CN", "TW", "HK"), "zh"),
    **{"JP": "ja", "KR": "ko", "TH": "th", "UA": "ru", "SA": "ar", "EG": "ar", "IL": "he"},
    **{"IT": "it", "NL": "nl", "PL": "pl", "CZ": "cs", "SE": "sv", "DK": "da", "NO": "da"},
    **{"FI": "fi", "RU": "ru", "TR": "tr", "GR": "el", "HU": "hu", "RO": "ro", "VN": "vi"},
}

CARRIERS: Mapping[str, tuple[str, ...]] = {
    "en": (
        *("The clerk wrote down {} and closed the book.", "We found {} on the back of the letter"),
        *("({})", "{} was all that the note said.", "In the third line stands {}\nand no more."),
        *("As of 2024, {}, it says.", "name;{};12\n", '{"value": "{}"}'),
    ),
    "de": ("Am Tor stand {} auf einem Schild.", "Er gab uns {}, dann ging er.", "({})"),
    "fr": ("Il a noté {} sur la porte.", "« {} » fut sa réponse.", "Voici : {}."),
    "es": ("Apuntó {} en la puerta.", "¿Es {}?", "Dejó esto: {}."),
    "pt": ("Anotou {} na porta.", "Deixou isto: {}.", "({})"),
    "it": ("Scrisse {} sulla porta.", "Ecco: {}.", "({})"),
    "nl": ("Hij schreef {} op de deur.", "Dit stond er: {}.", "({})"),
    "pl": ("Zapisał {} na drzwiach.", "Oto: {}.", "({})"),
    "cs": ("Napsal {} na dveře.", "Tady je: {}.", "({})"),
    "sv": ("Han skrev {} på dörren.", "Här: {}.", "({})"),
    "da": ("Han skrev {} på døren.", "Her: {}.", "({})"),
    "fi": ("Hän kirjoitti {} oveen.", "Tässä: {}.", "({})"),
    "ru": ("На двери было написано {} мелом.", "Вот: {}.", "({})"),
    "tr": ("Kapıya {} yazdı.", "İşte: {}.", "{}'i not etti."),
    "el": ("Έγραψε {} στην πόρτα.", "Ορίστε: {}.", "({})"),
    "hu": ("Felírta: {} az ajtóra.", "Ez az: {}.", "({})"),
    "ro": ("A scris {} pe ușă.", "Iată: {}.", "({})"),
    "vi": ("Anh ấy viết {} lên cửa.", "Đây: {}.", "({})"),
    "zh": ("请记下{}谢谢。", "他在门上写了{}，然后走了。", "（{}）", "门上写着：{}"),
    "ja": ("ドアに{}と書いてあった。", "これは{}です。", "「{}」と答えた。", "連絡は{}まで"),
    "ko": ("문에 {}라고 적혀 있었다.", "답은 {}입니다.", "({})"),
    "th": ("เขาเขียน{}ไว้ที่ประตู", "นี่คือ {} ครับ", "({})"),
    "ar": ("كتب {} على الباب.", "هذا هو: {}", "({})"),
    "he": ("הוא כתב {} על הדלת.", "הנה: {}.", "({})"),
}

#: Words that announce a telephone number, with the blank or mark behind them.
PHONE_LABELS: Mapping[str, tuple[str, ...]] = {
    "en": ("Tel. ", "phone: ", "call me on ", "Mobile "),
    "es": ("Tel. ", "teléfono: ", "Móvil "),
    "pt": ("Tel. ", "telemóvel ", "Telefone: "),
    "el": ("Τηλ. ", "κινητό: "),
    "pl": ("tel. ", "telefon: ", "kom. "),
    "cs": ("tel. ", "telefon: ", "mobil "),
    "da": ("Tlf. ", "mobil: ", "telefon "),
    "zh": ("电话", "電話：", "手机："),
    "de": ("Tel. ", "Telefon: ", "Handy "),
    "it": ("Tel. ", "cell. "),
}
#: Words that announce an identity number of a country.
IDENTITY_LABELS: Mapping[str, tuple[str, ...]] = {
    "PL": ("PESEL ", "PESEL: ", "nr PESEL: "),
    "NL": ("BSN ", "BSN: ", "burgerservicenummer "),
    "AT": ("SVNR ", "Sozialversicherungsnummer: "),
    "DK": ("CPR ", "CPR-nr. ", "cpr: "),
    "BR": ("CPF ", "CPF: ", "CPF nº "),
    "ZA": ("ID number ", "ID no. "),
    "TR": ("T.C. Kimlik No: ", "TC kimlik no "),
    "CA": ("SIN ", "SIN: ", "social insurance number "),
    "AU": ("TFN ", "TFN: ", "tax file number "),
    "JP": ("マイナンバー", "個人番号：", "マイナンバーは"),
    "US": ("SSN ", "SSN: ", "social security number ", "Social Security No. "),
}
