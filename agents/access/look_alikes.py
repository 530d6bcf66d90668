"""Names that people cannot tell apart, such as `anna` with a Cyrillic а, or `Bill` and `Bi11`.

A small part of what Unicode calls confusables (UTS #39): case, marks and widths, and the letters of the Cyrillic and
Greek alphabets and the digits that are drawn like Latin ones.
"""

from __future__ import annotations

import unicodedata

_DRAWN_LIKE = str.maketrans(
    {
        **dict(zip("аеорсухіјѕԁԛԝһӏвкмнтгьпиѵ", "aeopcyxijsdqwhlbkmhtrbnuv", strict=True)),
        **dict(zip("αβγεηικνορτυχωϲϳ", "abyenikvoptuxwcj", strict=True)),
        **dict(zip("01|ıſɑɡ", "olliiag", strict=True)),
    }
)


def skeleton(name: str) -> str:
    """The same text for all names that look the same."""
    # Twice: folding case can bring letters that decompose.
    for _ in range(2):
        decomposed = unicodedata.normalize("NFKD", name)
        name = "".join(sign for sign in decomposed if not unicodedata.combining(sign)).casefold()
    drawn = name.translate(_DRAWN_LIKE).replace("i", "l").replace("rn", "m").replace("vv", "w")
    return "".join(drawn.split())
