"""Target sound extraction for ESPnet.

Given a mixture and a condition (a text, a class label, a signal property), return the target sound
and the rest:

    from tsx_espnet import TargetSoundExtractor

    tsx = TargetSoundExtractor.load("exp/oct")
    target, rest = tsx(mixture, fs, text="a dog barking")

``SoundSeparator`` separates all sounds of a recording, with a model that is not queried.
``register()`` makes our models known to ESPnet's own tasks.
"""

__version__ = "0.1.0"
__all__ = ["SoundSeparator", "TargetSoundExtractor", "register"]


def register() -> None:
    """Put our classes into ESPnet's tables; see ``tsx_espnet.parts.register``."""
    from tsx_espnet.parts import register as register_all

    register_all()


def __getattr__(name: str):
    # torch takes seconds to import, so it waits until it is needed
    if name == "TargetSoundExtractor":
        from tsx_espnet.inference import TargetSoundExtractor

        return TargetSoundExtractor
    if name == "SoundSeparator":
        from tsx_espnet.separation import SoundSeparator

        return SoundSeparator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
