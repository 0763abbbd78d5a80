"""Letters by whether their script puts blanks between words.

Beside Chinese, Japanese, Korean or Thai text a word or a number ends without any blank, so no
finder may rely on the word boundaries of regular expressions.
"""

#: Insides of character classes.  Latin, Greek, Cyrillic, Armenian, Hebrew, Arabic, the scripts of
#: India up to Sinhala, Georgian, Latin Extended Additional, Greek Extended.
SPACED = "A-Za-zÀ-ÖØ-öø-ʯͰ-ϿЀ-ԯԱ-֏א-תؠ-ٟٮ-ۯۺ-ۿऀ-ॣ०-෿Ⴀ-ჿḀ-ỿἀ-῿"
#: Kana, Chinese characters, Hangul, and the sign that repeats a character.
RUNNING = "぀-ヿ㐀-䶿一-鿿豈-﫿가-힣々"
