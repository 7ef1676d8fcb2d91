"""What the OCT paper reports: the numbers of Table 1, and which experiment of ours each row is.

References:
    [OCT] Tzinis et al., "Optimal condition training for target source separation", 2022, Sec. 4.
"""

from typing import Dict, NamedTuple, Optional, Tuple

from tsx_espnet.conditions import UNCONDITIONAL
from tsx_espnet.evaluation.scores import ORACLE

PHI = "\N{GREEK SMALL LETTER PHI}"
# as the paper calls them; the keys are those of the recipe (conf/mix_<mixing>_<difficulty>.yaml)
MIXINGS = {
    "random": "Random classes",
    "different": "Different super-class",
    "same": "Same super-class",
}
DIFFICULTIES = {
    "hard": "input SNR U[0, 2.5] dB, at least 80 % overlap",
    "easy": "input SNR U[0, 5] dB, at least 60 % overlap",
}
# method -> condition of the single-condition models of Fig. 2
ENSEMBLED = {
    "single_harmonicity": "harmonicity",
    "single_order": "order",
    "text_sbert": "text",
    "single_energy": "energy",
}


class Row(NamedTuple):
    """One row of a table of the paper.

    Attributes:
        label: as the paper writes it.
        method: ours (conf/method_<method>.yaml); None: the oracle ensemble of ``ENSEMBLED``.
        condition: what it is asked by.
        hard, easy: mean test SI-SDR in dB for each of ``MIXINGS``; None where none is printed.
    """

    label: str
    method: Optional[str]
    condition: str
    hard: Optional[Tuple[float, float, float]] = None
    easy: Optional[Tuple[float, float, float]] = None

    def number(self, mixing: str, difficulty: str) -> Optional[float]:
        """The paper's mean test SI-SDR in dB; None where it prints none."""
        numbers = getattr(self, difficulty)
        return None if numbers is None else numbers[list(MIXINGS).index(mixing)]


TEXT_BERT = Row("Text only [26]", "text_bert", "text", (6.1, 3.9, 2.2), (8.6, 6.0, 2.9))
TEXT_SBERT = Row("Text only (ours)", "text_sbert", "text", (7.9, 5.6, 3.1), (9.0, 6.3, 3.3))
HCT = Row("HCT [24]", "hct", "text", (6.8, 4.8, 2.3), (7.0, 4.3, 2.4))
OCT = Row(f"OCT (no {PHI} and g)", "oct", "text", (8.4, 6.0, 3.3), (9.3, 6.5, 3.6))
OCTPP = Row("OCT++", "octpp", "text", (8.7, 6.2, 3.6), (9.3, 6.7, 3.7))
ORACLE_OCT = Row(
    f"(Oracle) OCT (no {PHI} and g)", "oct", ORACLE, (13.1, 11.5, 10.5), (14.4, 12.4, 11.2)
)
ORACLE_OCTPP = Row("(Oracle) OCT++", "octpp", ORACLE, (13.2, 11.5, 10.6), (14.7, 12.6, 11.5))
ORACLE_PIT = Row("(Oracle) PIT [8]", "pit", UNCONDITIONAL, (12.4, 10.7, 9.8), (12.4, 10.7, 9.8))
TABLE1 = (TEXT_BERT, TEXT_SBERT, HCT, OCT, OCTPP, ORACLE_OCT, ORACLE_OCTPP, ORACLE_PIT)

# Fig. 2 prints bars, H, O, T, E; only those that are in Table 1 as well have numbers
ORACLE_ENSEMBLE = Row("Oracle ensemble", None, ORACLE)
FIGURE2 = (
    Row("Harmonicity (H)", "single_harmonicity", "harmonicity"),
    Row("Source order (O)", "single_order", "order"),
    TEXT_SBERT._replace(label="Text (T)"),
    Row("Energy (E)", "single_energy", "energy"),
    ORACLE_ENSEMBLE,
    ORACLE_OCT._replace(label="Oracle OCT"),
)

# "minuend - subtrahend" -> the rows; what Sec. 4 and Table 1 have above 0
CLAIMS: Dict[str, Tuple[Row, Row]] = {
    "OCT - text only (ours), by text": (OCT, TEXT_SBERT),
    "OCT - HCT, by text": (OCT, HCT),
    "text only (ours) - HCT, by text": (TEXT_SBERT, HCT),
    "OCT++ - OCT, by text": (OCTPP, OCT),
    "text only (ours) - text only [26]": (TEXT_SBERT, TEXT_BERT),
    "oracle OCT - oracle PIT": (ORACLE_OCT, ORACLE_PIT),
    "oracle OCT - oracle ensemble of H, O, T, E": (ORACLE_OCT, ORACLE_ENSEMBLE),
}
METHODS = tuple(dict.fromkeys(row.method for row in (*TABLE1, *FIGURE2) if row.method))
