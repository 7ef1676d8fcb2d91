"""The super-classes that the strategies ``different`` and ``same`` go by ([OCT] Sec. 3.1).

By default the six of FSD50K used in "Optimal condition training for target source separation"
(Tzinis et al., 2023), section 3.1. The paper counts 21 animal sub-classes; 20 are left here, as
``Growling`` stood in the authors' list twice. The other counts agree: 35, 15, 26, 5 and 6.
"""

import json
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from tsx_espnet.errors import TSXError
from tsx_espnet.tables import PathLike

FSD50K_SUPERCLASSES = Path(__file__).parents[1] / "data" / "fsd50k_superclasses.json"


def load_superclasses(path: Optional[PathLike] = None) -> Dict[str, Tuple[str, ...]]:
    """Read ``{"Super_class": ["Sub_class", ...], ...}``, by default the six of FSD50K.

    >>> load_superclasses()["Water"]
    ('Rain', 'Raindrop', 'Stream', 'Ocean', 'Waves_and_surf', 'Gurgling')

    Raises:
        TSXError: if the file is not such JSON, a super-class has no sub-class, a label has a comma
            or a space, or a sub-class stands twice or is a super-class too.
    """
    path = Path(FSD50K_SUPERCLASSES if path is None else path)
    try:
        pairs = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_Pairs)
    except OSError as error:
        raise TSXError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise TSXError(f"{path}: not JSON ({error})") from None
    if not isinstance(pairs, _Pairs) or not pairs:
        raise TSXError(f'{path}: expected {{"Super_class": ["Sub_class", ...], ...}}')
    superclasses: Dict[str, Tuple[str, ...]] = {}
    home: Dict[str, str] = {}
    for name, labels in pairs:
        if name in superclasses:
            raise TSXError(f"{path}: super-class {name!r} occurs twice")
        if isinstance(labels, _Pairs) or not isinstance(labels, list) or not labels:
            raise TSXError(f"{path}: {name!r} expects a list of sub-classes, found {labels!r}")
        for label in labels:
            _check_label(label, name, path)
            if label in home:
                raise TSXError(f"{path}: {label!r} is listed in {home[label]!r} and in {name!r}")
            home[label] = name
        superclasses[name] = tuple(labels)
    for name in superclasses:
        if name in home:
            raise TSXError(f"{path}: {name!r} is a super-class and a sub-class of {home[name]!r}")
    return superclasses


class _Pairs(List[Tuple[str, Any]]):
    """A JSON object as (key, value) pairs: a dict would hide a repeated key."""


def _check_label(label: Any, name: str, path: Path) -> None:
    if not isinstance(label, str) or label.split() != [label] or "," in label:
        raise TSXError(f"{path}: {name!r} holds {label!r}, expected a label without space or comma")
