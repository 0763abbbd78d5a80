"""Words that announce a telephone number, in the languages that text is written in.

In: the text in front of a number.  Out: whether a word announces it: a noun (`Tel.`), which says
what the number is, or a verb (`call me on`), which only makes it likely.
"""

from __future__ import annotations

import re
from typing import Literal

from lmcore.data.text.personal.scripts import SPACED

LOOK_BACK = 48


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NOUNS = _words(
    """
    tel tél telephone phone telefon telefono teléfono telefone telemóvel telefoon telefonnummer
    téléphone fax telefax mobile mobil mob mobiel mobilnummer cell cellphone cellulare celular
    móvil portable handy handynummer rufnummer durchwahl landline hotline whatsapp gsm tlf tfn
    komórka kom puhelin puh cep τηλ τηλέφωνο κινητό тел телефон моб мобильный факс мобільний
    thoại đt sđt telepon telp hp הטלפון טלפון נייד טל هاتف الهاتف جوال تلفون موبايل تليفون فاكس
    تلفن موبایل फ़ोन मोबाइल telefonszám telefón telefonní telefoonnummer
    """
)
_VERBS = _words(
    """
    call calling dial ring text reach contact sms appelez appeler joindre contactez rufen ruf
    anrufen anruf ruft erreichen llame llama llamar llámame ligue ligar chiama chiamare chiamate
    zadzwoń dzwoń dzwonić zavolejte volejte volat ringa soita bel bellen sunați hívja καλέστε
    позвоните позвони звоните звони телефонуйте ara arayın اتصل gọi hubungi
    """
)
#: Words that may stand between the announcement and the number, beside those of three letters.
_BETWEEN = _words(
    """
    number numbers nummer numéro numero número numer номер private work home office číslo
    αριθμός raqam nomor رقم
    """
)
_MAX_BETWEEN = 4
#: Words that say of the number behind them that it is another one.
_ANOTHER = _words(
    """
    order orders ticket invoice ref reference case lot batch isbn issn ean sku serial item bestellnr
    bestellnummer rechnung rechnungsnr rechnungsnummer auftrag auftragsnr auftragsnummer
    kundennummer kundennr vorgang vorgangsnummer aktenzeichen artikelnummer artikelnr facture
    commande factura pedido ordine fattura zamówienie faktura faktury objednávka ordre tilaus
    заказ заказа
    счёт счет накладная sipariş fatura
    """
)
_GLUED_ANOTHER = re.compile(
    "(?:订单|訂單|发票|發票|编号|編號|単号|注文|伝票|주문|송장)[号號番번호]{0,2}"
    "[は是为：: ]{0,3}\\Z"
)
#: Words that may follow those: `order no.`.
_NUMBER = _words("no nr number nummer num numéro numero número номер id n nº n°")
#: Short words that say that the number is something else.
_NEVER = _words(
    """
    eur euro usd gbp jpy cny chf sek nok dkk pln czk inr rub brl mxn kr zł rs art lot ref pos
    pin bic vat ust hrb isbn ean sku qty max min age aged pp
    """
)
# Of languages without blanks between words: the noun or verb, and at most four characters behind.
_GLUED = re.compile(
    "(?:(电话|電話|手机|手機|座机|传真|傳真|携帯|ケータイ|ファックス|전화|휴대폰|핸드폰|연락처|팩스"
    "|โทร|มือถือ|เบอร์|[☎☏✆📞📱])|拨打|撥打|致电|致電|联系|聯絡|連絡|문의)(?:号码|號碼|番号|번호)?"
    "[はがのを은는이가を是为：: .)(-]{0,4}\\Z"
)
_WORD = re.compile(rf"[{SPACED}]+|[^\W\d_]")
_SENTENCE_END = re.compile(r"[.!?]")
# Nothing announces across another number, the end of a line or something that was masked.
_NEAREST = 6
_NEAR = re.compile("[^\\W\\d_]|[☎☏✆📞📱]")
_CUT = re.compile(r"[^0-9\n\0<>]*")

Cue = Literal["noun", "verb"]


def is_announced(view: str, start: int) -> bool:
    """Whether there is a word near enough in front: most numbers stand behind other numbers."""
    return bool(_NEAR.search(view, max(0, start - _NEAREST), start))


def words_before(view: str, start: int) -> str:
    """The text in front of a number that may announce it."""
    if not is_announced(view, start):
        return ""
    backwards = view[max(0, start - LOOK_BACK) : start][::-1]
    found = _CUT.match(backwards)
    return found[0][::-1] if found else ""


def phone_cue(words: str) -> Cue | None:
    """How the text in front of a number announces a telephone number, if it does."""
    if not words.isascii() and (glued := _GLUED.search(words)):
        return "noun" if glued[1] else "verb"
    for between, found in enumerate(reversed(list(_WORD.finditer(words)))):
        word = found[0].casefold()
        if word in _NOUNS:
            return "noun"
        if word in _VERBS:
            # A verb speaks of its own sentence alone.
            return None if _SENTENCE_END.search(words, found.end()) else "verb"
        if word in _NEVER or between == _MAX_BETWEEN or (len(word) > 3 and word not in _BETWEEN):
            return None
    return None


def names_another(words: str) -> bool:
    """Whether the text in front of a number says that it is one of an order, a ticket, a book."""
    if not words.isascii() and _GLUED_ANOTHER.search(words):
        return True
    found = [word.casefold() for word in _WORD.findall(words)[-2:]]
    if found and found[-1] in _NUMBER:
        found.pop()
    return bool(found) and found[-1] in _ANOTHER
