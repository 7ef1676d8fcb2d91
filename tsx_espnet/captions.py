"""The captions of a clip, as ``utt2captions`` holds them: a JSON list of texts."""

import re
from typing import Tuple

from tsx_espnet.conditions import NOT_APPLICABLE
from tsx_espnet.errors import TSXError
from tsx_espnet.tables import parse_json

_CONTROL = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


def parse_captions(text: str, where: str) -> Tuple[str, ...]:
    """The captions, each as one line with single spaces.

    Whoever reads captions reads them here: the text that a mixture is asked by is looked up among
    the phrases of stage 4, letter by letter.

    >>> parse_captions('["A dog  barks.", " "]', "utt2captions: clip1")
    ('A dog barks.',)

    Raises:
        TSXError: naming ``where``, if ``text`` is not a JSON list of texts.
    """
    try:
        captions = parse_json(text)
    except ValueError:
        captions = None
    if not isinstance(captions, list) or not all(isinstance(item, str) for item in captions):
        raise TSXError(f"{where}: expected a JSON list of captions, found {text!r:.80}")
    lines = (" ".join(_CONTROL.sub(" ", caption).split()) for caption in captions)
    return tuple(line for line in lines if line and line != NOT_APPLICABLE)
