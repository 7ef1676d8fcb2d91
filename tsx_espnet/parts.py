"""The tables of parts, how one is made, and how the tables are put into ESPnet's."""

import contextlib
import importlib
import inspect
import os
import sys
import tempfile
import warnings
from typing import Any, Callable, Dict, Iterable, Iterator, Mapping, Optional

from tsx_espnet.checks import check_given, check_names
from tsx_espnet.errors import TSXError

OURS: Dict[str, Dict[str, str]] = {
    "extractor": {
        "sudormrf": "tsx_espnet.extractor.sudormrf:SudoRMRFExtractor",
        "conv_tasnet": "tsx_espnet.extractor.conv_tasnet:ConvTasNetExtractor",
        "tdcn": "tsx_espnet.extractor.tdcn:TDCNExtractor",
    },
    "separator": {
        "sudormrf": "tsx_espnet.extractor.sudormrf:SudoRMRFSeparator",
        "tdcn": "tsx_espnet.extractor.tdcn:TDCNSeparator",
    },
    "criterion": {
        "si_sdr": "tsx_espnet.criterion.si_sdr:SISDRLoss",
        "thresholded_snr": "tsx_espnet.criterion.snr:ThresholdedSNRLoss",
    },
    "conditioner": {
        "null": "tsx_espnet.conditioner.embedding:NullConditioner",
        "onehot": "tsx_espnet.conditioner.onehot:OneHotConditioner",
        "text": "tsx_espnet.conditioner.text:TextConditioner",
        "enrollment": "tsx_espnet.conditioner.enrollment:EnrollmentConditioner",
        "tokens": "tsx_espnet.conditioner.tokens:TokensConditioner",
        "classifier": "tsx_espnet.conditioner.classifier:ClassifierConditioner",
    },
    "objective": {
        "single": "tsx_espnet.objective.single:SingleObjective",
        "hct": "tsx_espnet.objective.hct:HCTObjective",
        "oct": "tsx_espnet.objective.oct:OCTObjective",
        "octpp": "tsx_espnet.objective.oct:OCTPlusPlusObjective",
        "pit": "tsx_espnet.objective.single:PITObjective",
        "mixed": "tsx_espnet.objective.mixed:MixedObjective",
        "guided": "tsx_espnet.objective.guided:GuidedObjective",
    },
    "refiner": {"mixture": "tsx_espnet.conditioner.refiner:MixtureRefiner"},
    "pretrained": {
        "cnn14": "tsx_espnet.pretrained.cnn14:Cnn14",
        "ast": "tsx_espnet.pretrained.classifier:AudioSpectrogramTransformer",
        "mobilenet": "tsx_espnet.pretrained.mobilenet:SavedMobileNet",
        "espnet_cls": "tsx_espnet.pretrained.espnet_cls:ESPnetClassifier",
        "clap": "tsx_espnet.pretrained.joint:ClapEncoder",
        "language_model": "tsx_espnet.pretrained.joint:LanguageModelEncoder",
    },
}

# former names of parts, in older configurations
ALIASES = {"extractor": {"soundbeam": "conv_tasnet"}}

# parts of ESPnet that are imported directly; its tables take more than ten seconds to import
ESPNET: Dict[str, Dict[str, str]] = {
    "encoder": {
        "conv": "espnet2.enh.encoder.conv_encoder:ConvEncoder",
        "stft": "espnet2.enh.encoder.stft_encoder:STFTEncoder",
    },
    "decoder": {
        "conv": "espnet2.enh.decoder.conv_decoder:ConvDecoder",
        "stft": "espnet2.enh.decoder.stft_decoder:STFTDecoder",
    },
    "criterion": {"snr": "espnet2.enh.loss.criterions.time_domain:SNRLoss"},
    "extractor": {
        "td_speakerbeam": ("espnet2.enh.extractor.td_speakerbeam_extractor:TDSpeakerBeamExtractor"),
    },
}

# where ESPnet keeps the table of each kind
CHOICES = {
    "encoder": "espnet2.tasks.enh:encoder_choices",
    "decoder": "espnet2.tasks.enh:decoder_choices",
    "separator": "espnet2.tasks.enh:separator_choices",
    "criterion": "espnet2.tasks.enh:criterion_choices",
    "extractor": "espnet2.tasks.enh_tse:extractor_choices",
}


def load(path: str):
    """The object at ``package.module:name``."""
    module, _, name = path.partition(":")
    with warnings.catch_warnings():  # ESPnet's, about torch
        warnings.simplefilter("ignore", FutureWarning)
        return getattr(importlib.import_module(module), name)


@contextlib.contextmanager
def quiet_imports() -> Iterator[None]:
    """Within the block nothing is printed, unless an import fails.

    ESPnet prints and warns while it is imported, which would spoil the output of ``--print_config``
    and one-line errors. File descriptors are switched, as ESPnet keeps ``sys.stdout``.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as printed:
        try:
            os.dup2(printed.fileno(), 1)
            os.dup2(printed.fileno(), 2)
            yield
        except BaseException:
            printed.seek(0)
            os.write(saved[1], printed.read())
            raise
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, original in zip((1, 2), saved):
                os.dup2(original, number)
                os.close(original)


def find(kind: str, name: str) -> type:
    """The class of a part, from our tables, ESPnet's light modules, or ESPnet's tables.

    Raises:
        TSXError: if there is no such part.
    """
    name = ALIASES.get(kind, {}).get(name, name)
    for table in (OURS, ESPNET):
        if name in table.get(kind, {}):
            return load(table[kind][name])
    known = load(CHOICES[kind]).classes if kind in CHOICES else OURS[kind]
    if name not in known:
        raise TSXError(f"--{kind}: expected one of {', '.join(known)}, found {name!r}")
    return known[name]


def make(kind: str, name: str, conf: Optional[Mapping[str, Any]], **given: Any) -> Any:
    """A part from its ``conf`` and options ``given`` by the rest of the model.

    Raises:
        TSXError: if there is no such part, or an option is unknown, missing or wrong.
    """
    part = find(kind, name)
    conf = conf or {}
    check_conf(kind, name, part, conf, given)
    try:
        return part(**given, **conf)
    except ValueError as error:
        raise TSXError(f"{kind}_conf of {name}: {error}") from None


def check_conf(
    kind: str, name: str, part: type, conf: Mapping[str, Any], given: Iterable[str]
) -> None:
    """Raise ``TSXError`` if ``conf`` has an unknown option, or lacks one that ``part`` needs."""
    takes = {option: need for option, need in options_of(part).items() if option not in given}
    where = f"{kind}_conf of {name}"
    check_names(conf, list(takes), where)
    check_given(conf, [option for option, needed in takes.items() if needed], where)


def options_of(part: type) -> Dict[str, bool]:
    """The named options of a class, and those that it passes on to its base as ``**options``.

    Returns:
        option -> whether it is required (never of a base class, which may get it from the subclass)
    """
    options: Dict[str, bool] = {}
    handed_on = False
    for base in part.__mro__:
        if "__init__" not in vars(base):
            continue
        own, handed_on = not handed_on, False
        for name, parameter in list(inspect.signature(base.__init__).parameters.items())[1:]:
            handed_on |= parameter.kind is parameter.VAR_KEYWORD
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                options.setdefault(name, own and parameter.default is parameter.empty)
        if not handed_on:
            break
    return options


def with_options_of(network: type, *but: str) -> Callable[[Callable], Callable]:
    """Give an ``__init__`` with ``**options`` a signature that names those of a network.

    ESPnet lists the options of a part by its signature; their defaults are in the network alone.

    Args:
        but: options of the network that are not handed on.
    """

    def decorate(init: Callable) -> Callable:
        signature = inspect.signature(init)
        own = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
        known = {*but, *(one.name for one in own)}
        handed_on = inspect.signature(network).parameters.values()
        parameters = [*own, *(one for one in handed_on if one.name not in known)]
        init.__signature__ = signature.replace(parameters=parameters)
        return init

    return decorate


def register() -> None:
    """Put our extractors, separators and criterions into ESPnet's tables.

    May be called any number of times. If ``espnetez`` has been imported, ``tsx`` is added to its
    task table.

    Raises:
        RuntimeError: if another class has one of our names.
    """
    for kind in ("extractor", "separator", "criterion"):
        choices = load(CHOICES[kind])
        for name in (*OURS[kind], *ALIASES.get(kind, ())):
            _add(choices.classes, name, find(kind, name), f"ESPnet's {kind} table")
    espnetez = sys.modules.get("espnetez.task")
    if espnetez is not None:
        _add(
            espnetez.TASK_CLASSES,
            "tsx",
            load("tsx_espnet.training.task:TSXTask"),
            "espnetez's task table",
        )


def _add(table: Dict[str, type], name: str, part: type, title: str) -> None:
    present = table.get(name, part)
    if present is not part:
        raise RuntimeError(
            f"{title} has {present.__module__}.{present.__qualname__} under {name!r}, where "
            f"{part.__module__}.{part.__qualname__} should stand"
        )
    table[name] = part
