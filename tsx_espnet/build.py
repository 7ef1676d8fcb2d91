"""From a configuration to a model, without importing ESPnet's tasks if possible."""

import inspect
from typing import Any, Dict, Iterable, Mapping, Optional

import torch

from tsx_espnet.checks import check_given, check_names
from tsx_espnet.conditions import find as find_condition
from tsx_espnet.criterion.distance import Distance
from tsx_espnet.errors import TSXError
from tsx_espnet.extractor.abs_extractor import AbsTSXExtractor, ESPnetExtractor
from tsx_espnet.layers.consistency import MixtureConsistency
from tsx_espnet.model import ESPnetTSXModel
from tsx_espnet.parts import find
from tsx_espnet.pretrained.store import Networks
from tsx_espnet.vocabulary import Vocabulary, kind_of

NO_NETWORKS = Networks({}, {})


def build_model(
    config: Mapping[str, Any], vocabulary: Vocabulary, training: bool = True
) -> ESPnetTSXModel:
    """The model of a configuration (``config.yaml`` of an experiment as a dict).

    Args:
        config: ``encoder``, ``encoder_conf``, ``extractor``, ``decoder``, ``conditions``,
            ``embedding_dim``, ``consistency``, ``pretrained`` and ``pretrained_digest`` if parts
            use such networks, and for training ``objective``, ``criterions`` and
            ``mixture_criterions``.
        vocabulary: sizes of the tables of the conditions.
        training: build the objective and the criterions too.

    Raises:
        TSXError: naming the option, if a part is unknown or one of its options is wrong.
    """
    conditions = config["conditions"]
    dim = config["embedding_dim"]
    networks = Networks(config.get("pretrained") or {}, config.get("pretrained_digest") or {})
    encoder = make("encoder", config["encoder"], config["encoder_conf"])
    extractor = build_extractor(
        config["extractor"], encoder.output_dim, dim, config["extractor_conf"]
    )
    refiner = None
    if config.get("refiner") not in (None, "none"):
        refiner = make(
            "refiner",
            config["refiner"],
            config["refiner_conf"],
            input_dim=encoder.output_dim,
            embedding_dim=dim,
        )
    consistency = None
    if config["consistency"] not in (None, "none"):
        num_sources = max(2, extractor.num_outputs)  # with one, the rest is the second
        consistency = MixtureConsistency(config["consistency"], encoder.output_dim, num_sources)
    objective, criterion, mixture_criterion = None, None, None
    if training:
        objective = make(
            "objective",
            config["objective"],
            with_network("objective", config["objective"], config["objective_conf"], networks),
            conditions=tuple(conditions),
        )
        if objective.needs_refiner and refiner is None:
            raise TSXError(f"--objective {config['objective']} needs a --refiner, found none")
        criterion = build_criterions(config["criterions"])
        if config.get("mixture_criterions"):
            mixture_criterion = build_criterions(config["mixture_criterions"], "mixture_criterions")
    return ESPnetTSXModel(
        encoder=encoder,
        extractor=extractor,
        decoder=make("decoder", config["decoder"], config["decoder_conf"]),
        conditioners={
            name: build_conditioner(
                name, conf, dim, vocabulary, config.get("conditioner_conf"), networks
            )
            for name, conf in conditions.items()
        },
        refiner=refiner,
        consistency=consistency,
        objective=objective,
        criterion=criterion,
        mixture_criterion=mixture_criterion,
    )


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


def with_network(
    kind: str, name: str, conf: Optional[Mapping[str, Any]], networks: Networks
) -> Dict[str, Any]:
    """The options of a part, with the frozen network itself where ``pretrained`` names it.

    Raises:
        TSXError: if there is no such part or network.
    """
    conf = dict(conf or {})
    wanted = conf.get("pretrained")
    if isinstance(wanted, str) and "pretrained" in options_of(find(kind, name)):
        conf["pretrained"] = networks[wanted]
    return conf


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


def build_extractor(
    name: str, input_dim: int, embedding_dim: int, conf: Mapping[str, Any]
) -> AbsTSXExtractor:
    """One of our extractors, or of ESPnet's in an ``ESPnetExtractor``."""
    extractor = find("extractor", name)
    if issubclass(extractor, AbsTSXExtractor):
        return make("extractor", name, conf, input_dim=input_dim, condition_dim=embedding_dim)
    size = conf.get("spk_emb_dim")
    if "use_spk_emb" in inspect.signature(extractor).parameters and (
        not conf.get("use_spk_emb") or size != embedding_dim
    ):
        raise TSXError(
            f"--extractor {name} takes the condition as a speaker embedding: expected "
            f"extractor_conf use_spk_emb: true and spk_emb_dim: {embedding_dim} "
            f"(--embedding_dim), found {conf.get('use_spk_emb', False)} and {size}"
        )
    return ESPnetExtractor(make("extractor", name, conf, input_dim=input_dim))


def build_conditioner(
    name: str,
    conf: Mapping[str, Any],
    embedding_dim: int,
    vocabulary: Vocabulary,
    conditioner_conf: Optional[Mapping[str, Mapping[str, Any]]] = None,
    networks: Networks = NO_NETWORKS,
) -> torch.nn.Module:
    """The conditioner of one condition.

    Args:
        conf: its kind, by default that of the condition, and its options.
        conditioner_conf: kind -> options where ``conf`` has none.
        networks: those that an option ``pretrained`` may name.

    Raises:
        TSXError: if there is no such condition, or it does not give what the conditioner takes.
    """
    condition = find_condition(name)
    kind = kind_of(name, conf)
    takes = find("conditioner", kind).takes
    condition.check_gives(takes, f"{kind}, which takes {takes}")
    options = {option: value for option, value in (conf or {}).items() if option != "conditioner"}
    usual = (conditioner_conf or {}).get(kind) or {}
    options = {**condition.conditioner_options(kind, vocabulary), **usual, **options}
    options = with_network("conditioner", kind, options, networks)
    return make("conditioner", kind, options, output_dim=embedding_dim)


def build_criterions(
    specs: Iterable[Mapping[str, Any]], option: str = "criterions"
) -> Distance:
    """The distance of ESPnet's ``--criterions`` list.

    The objective decides on the order of the sources, so the wrapper must be ``fixed_order``.
    """
    criterions = []
    for spec in specs:
        wrapper = spec.get("wrapper", "fixed_order")
        if wrapper != "fixed_order":
            raise TSXError(
                f"--{option} {spec['name']}: expected wrapper fixed_order (the objective decides "
                f"on the order of the sources), found {wrapper}"
            )
        weight = (spec.get("wrapper_conf") or {}).get("weight", 1.0)
        criterions.append((weight, make("criterion", spec["name"], spec.get("conf") or {})))
    return Distance(criterions)
