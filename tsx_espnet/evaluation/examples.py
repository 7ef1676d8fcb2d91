"""Test mixtures to listen to, chosen by rank and not by ear."""

import shutil
from pathlib import Path
from typing import Dict, List, Sequence

import numpy as np

from tsx_espnet.audio import write_audio
from tsx_espnet.conditions import UNCONDITIONAL
from tsx_espnet.errors import TSXError
from tsx_espnet.evaluation.figures import draw_spectrograms
from tsx_espnet.evaluation.score import read_estimate
from tsx_espnet.evaluation.scores import ORACLE, Score
from tsx_espnet.mixing.mixture_set import MIXTURE, TARGET, MixtureSet
from tsx_espnet.tables import DONE, PathLike, mark_done, read_table, remove_leftovers

PICTURE = "spectrogram.png"


def choose_examples(scores: Sequence[Score], condition: str, count: int) -> List[str]:
    """Ids of ``count`` mixtures spread over the ranking by SI-SDRi under ``condition``.

    They are those at the k / (count + 1) quantiles: the median for one, the quartiles for three.
    Worst first. Ties are broken by id, so the choice is always the same.
    """
    ranked = sorted(
        (score.si_sdri, score.mixture)
        for score in scores
        if score.condition == condition and score.si_sdri is not None
    )
    count = min(count, len(ranked))
    ranks = [round(k * (len(ranked) - 1) / (count + 1)) for k in range(1, count + 1)]
    if len(set(ranks)) < count:  # few mixtures: neighbouring quantiles fall on the same one
        ranks = list(range(count))
    return [ranked[rank][1] for rank in ranks]


def clear_examples(directory: PathLike) -> None:
    """Remove the examples of an earlier report, and nothing else, from ``directory``."""
    for marker in Path(directory).glob(f"*/{DONE}"):
        shutil.rmtree(marker.parent, ignore_errors=True)


def write_example(
    directory: PathLike,
    mixtures: MixtureSet,
    estimates_dir: PathLike,
    scores: Sequence[Score],
    shown: str,
) -> None:
    """Write the sounds of one mixture and one picture of them into ``directory``.

    ``mixture.wav``, ``target.wav``, ``estimate_<condition>.wav`` for each of ``scores`` (all of the
    same mixture), and ``rest.wav`` and ``spectrogram.png`` of the condition ``shown``. 16 bits, all
    at the same gain, which is below 1 only where a sample would clip.
    """
    directory, estimates_dir = Path(directory), Path(estimates_dir)
    # first, so that the next report removes what is left of one that was killed
    mark_done(directory, mixture=scores[0].mixture)
    table = {score.condition: score for score in scores if score.condition != ORACLE}
    name = scores[0].mixture
    plan = mixtures.plans[name]
    rate = plan.fs
    signals: Dict[str, np.ndarray] = {
        row.kind: mixtures.read(row, name, "float64", fs=rate, length=plan.num_samples)
        for row in (MIXTURE, TARGET)
    }
    for condition, score in table.items():
        path = _estimate(estimates_dir / condition / f"{_stream(score)}.scp", name)
        signals[f"estimate_{condition}"] = read_estimate(path, plan)
    streams = {"spk1": "spk2", "spk2": "spk1"}
    rest = _estimate(estimates_dir / shown / f"{streams[_stream(table[shown])]}.scp", name)
    signals["rest"] = read_estimate(rest, plan)

    gain = min(1.0, 0.999 / max(float(np.abs(signal).max()) for signal in signals.values()))
    for kind, signal in signals.items():
        write_audio(directory / f"{kind}.wav", gain * signal, rate, "WAV", "PCM_16")
    score = table[shown]
    shown_signals = {
        f"mixture (SI-SDR {score.si_sdr_mixture:.1f} dB)": signals["mixture"],
        f"target ({score.label})": signals["target"],
        f"estimate (SI-SDR {score.si_sdr:.1f} dB)": signals[f"estimate_{shown}"],
    }
    quoted = f"\N{LEFT DOUBLE QUOTATION MARK}{score.value}\N{RIGHT DOUBLE QUOTATION MARK}"
    title = f"{name}, {shown} = {quoted}: SI-SDRi {score.si_sdri:.1f} dB"
    draw_spectrograms(directory / PICTURE, shown_signals, rate, title)
    remove_leftovers(directory)


def _stream(score: Score) -> str:
    """The output that is taken for the target."""
    return score.value if score.condition == UNCONDITIONAL else "spk1"


def _estimate(table: Path, name: str) -> str:
    paths = read_table(table)
    if name not in paths:
        raise TSXError(f"{table}: no {name!r}; run stages 6 (infer) and 7 (score) again")
    return paths[name]
