"""Text from files and messages, made safe for a terminal."""

from __future__ import annotations

import unicodedata

# Control characters, which drive the terminal; characters that turn the direction of the text;
# halves of characters, which cannot be written.
_UNSAFE = {"Cc", "Cf", "Cs"}
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def printable(text: str) -> str:
    """The text with what a terminal would act upon replaced; line breaks and tabs stay."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter in "\n\t" or unicodedata.category(letter) not in _UNSAFE else _REPLACEMENT
        for letter in text
    )
