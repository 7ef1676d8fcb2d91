"""The classes of the corpus: their labels, and the functions that generate their clips."""

import zlib
from dataclasses import dataclass
from typing import Callable, Dict, Tuple

import numpy as np

from tsx_espnet.corpora.mini import animals, instruments, speech, vehicles, water
from tsx_espnet.corpora.mini.dsp import fade, to_samples

SHORTEST, LONGEST = 2.0, 5.0  # seconds
VERSION = 1  # of the sounds: count up when any of them changes


@dataclass(frozen=True)
class SoundClass:
    """One class of sounds.

    Attributes:
        name: begins the ids of its clips.
        labels: most specific first, then the ancestors; names of FSD50K where it has one.
        synthesize: ``(rng, seconds) -> (T,)`` of any level.
    """

    name: str
    labels: Tuple[str, ...]
    synthesize: Callable[[np.random.Generator, float], np.ndarray]


def _row(name: str, labels: str, synthesize: Callable) -> SoundClass:
    return SoundClass(name, tuple(labels.split(",")), synthesize)


_BIRD = "Chirp_and_tweet,Bird_vocalization_and_bird_call_and_bird_song,Bird,Wild_animals,Animal"
_HORN = "Vehicle_horn_and_car_horn_and_honking,Car,Motor_vehicle_(road),Vehicle"
_GUITAR = "Acoustic_guitar,Guitar,Plucked_string_instrument,Musical_instrument,Music"
_FLUTE = "Wind_instrument_and_woodwind_instrument,Musical_instrument,Music"

CATALOGUE: Dict[str, SoundClass] = {
    row.name: row
    for row in (
        _row("bark", "Bark,Dog,Domestic_animals_and_pets,Animal", animals.bark),
        _row("meow", "Meow,Cat,Domestic_animals_and_pets,Animal", animals.meow),
        _row("chirp", _BIRD, animals.chirp),
        _row("frog", "Frog,Wild_animals,Animal", animals.frog),
        _row("guitar", _GUITAR, instruments.guitar),
        _row("flute", _FLUTE, instruments.flute),
        _row("church_bell", "Church_bell,Bell,Musical_instrument,Music", instruments.church_bell),
        _row("snare", "Snare_drum,Drum,Percussion,Musical_instrument,Music", instruments.snare),
        _row("engine", "Engine,Motor_vehicle_(road),Vehicle", vehicles.engine),
        _row("siren", "Siren,Emergency_vehicle,Vehicle", vehicles.siren),
        _row("horn", _HORN, vehicles.horn),
        _row("train", "Train,Rail_transport,Vehicle", vehicles.train),
        _row("rain", "Rain,Water", water.rain),
        _row("waves", "Waves_and_surf,Ocean,Water", water.waves),
        _row("drip", "Drip,Liquid,Water", water.drip),
        _row("fill", "Fill_(with_liquid),Liquid,Water", water.fill),
        _row("male_speech", "Male_speech_and_man_speaking,Speech,Human_voice", speech.male_speech),
        _row(
            "female_speech",
            "Female_speech_and_woman_speaking,Speech,Human_voice",
            speech.female_speech,
        ),
    )
}


def generate(name: str, index: int, seed: int = 0) -> np.ndarray:
    """Clip ``index`` of class ``name``: (T,) with 2 s <= T / 16000 <= 5 s, peak 0.3 to 0.9.

    It depends on the three arguments only, so adding a class changes no other.

    >>> len(generate("bark", 0)) == len(generate("bark", 0, seed=0))
    True
    """
    rng = np.random.default_rng([seed, zlib.crc32(name.encode()), index])
    seconds = round(float(rng.uniform(SHORTEST, LONGEST)), 2)
    peak = rng.uniform(0.3, 0.9)
    sound = CATALOGUE[name].synthesize(rng, seconds)[: to_samples(seconds)]
    sound = (sound - np.mean(sound)) * fade(len(sound), 0.002, 0.02)
    return peak * sound / np.max(np.abs(sound))
