"""From a configuration to a model, without importing ESPnet's tasks if possible."""

import inspect
from typing import Any, Dict, List, Mapping, Optional, Sequence

import torch

from tsx_espnet.checks import check_names
from tsx_espnet.conditioner.embedding import AbsConditioner
from tsx_espnet.conditions import find as find_condition
from tsx_espnet.criterion.distance import build_criterions
from tsx_espnet.errors import TSXError
from tsx_espnet.extractor.abs_extractor import AbsTSXExtractor, ESPnetExtractor
from tsx_espnet.extractor.separation import Pass
from tsx_espnet.layers.consistency import MixtureConsistency
from tsx_espnet.model import ESPnetTSXModel
from tsx_espnet.parts import find, make, options_of
from tsx_espnet.pretrained.store import Networks
from tsx_espnet.vocabulary import Vocabulary, kind_of

NO_NETWORKS = Networks({}, {})
# what a later pass may have of its own
LATER = (
    *("encoder", "encoder_conf", "extractor", "extractor_conf", "decoder", "decoder_conf"),
    *("conditions", "conditioner_conf", "consistency", "stop_gradient"),
)


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
    consistency = build_consistency(config["consistency"], encoder, extractor)
    training_parts: Dict[str, Any] = {}
    if training:
        name = config["objective"]
        objective = make(
            "objective",
            name,
            with_network("objective", name, config["objective_conf"], networks),
            conditions=tuple(conditions),
            **of_interest("objective", name, fs=vocabulary.fs),
        )
        if objective.needs_refiner and refiner is None:
            raise TSXError(f"--objective {config['objective']} needs a --refiner, found none")
        training_parts = {
            "objective": objective,
            "criterion": build_criterions(config["criterions"]),
        }
        if config.get("mixture_criterions"):
            training_parts["mixture_criterion"] = build_criterions(
                config["mixture_criterions"], "mixture_criterions"
            )
    first = {
        "encoder": encoder,
        "extractor": extractor,
        "decoder": make("decoder", config["decoder"], config["decoder_conf"]),
        "conditioners": build_conditioners(config, vocabulary, networks, extractor),
        "refiner": refiner,
        "consistency": consistency,
    }
    check_fit(config, extractor, first["conditioners"])
    later = build_later(config, vocabulary, networks, first["conditioners"], extractor)
    if training:
        objective.check_heard([first["conditioners"], *(one.conditioners for one in later)])
    return ESPnetTSXModel(**first, later=later, **training_parts)


def build_consistency(
    kind: Optional[str], encoder: torch.nn.Module, extractor: AbsTSXExtractor
) -> Optional[MixtureConsistency]:
    """The mixture consistency of an extractor, or None."""
    if kind in (None, "none"):
        return None
    num_sources = max(2, extractor.num_outputs)  # of one output, the rest is the second
    return MixtureConsistency(kind, encoder.output_dim, num_sources)


def build_later(
    config: Mapping[str, Any],
    vocabulary: Vocabulary,
    networks: Networks,
    conditioners: Mapping[str, AbsConditioner],
    extractor: AbsTSXExtractor,
) -> List[Pass]:
    """The passes after the first, each the first with other options (``later`` of ``config``).

    A pass without ``conditions`` has the embedding of the first. One with ``conditions`` hears the
    only condition of the model.

    Args:
        networks: those that an option ``pretrained`` may name.
        conditioners, extractor: of the first pass.

    Raises:
        TSXError: naming the option, if the extractor cannot see estimates or a condition is asked.
    """
    passes = []
    num_outputs = max(2, extractor.num_outputs)  # of one, the rest is the second
    for overrides in config.get("later") or ():
        check_names(overrides, LATER, "--later")
        own = {**config, "conditions": {}, "stop_gradient": False, **overrides}
        encoder = make("encoder", own["encoder"], own["encoder_conf"])
        extractor = build_extractor(
            own["extractor"],
            encoder.output_dim,
            own["embedding_dim"],
            own["extractor_conf"],
            further_dim=num_outputs * encoder.output_dim,
        )
        if max(2, extractor.num_outputs) != num_outputs:
            raise TSXError(
                f"--extractor {own['extractor']} of --later: expected {num_outputs} outputs as in "
                f"the first pass, found {extractor.num_outputs}"
            )
        heard = build_conditioners(own, vocabulary, networks, extractor)
        if heard and (len(conditioners) > 1 or heard.keys() != conditioners.keys()):
            raise TSXError(
                f"--later conditions: expected the only condition of the model, found "
                f"{', '.join(heard)} in a model of {', '.join(conditioners)}"
            )
        for name, conditioner in heard.items():
            if not conditioner.hears:
                raise TSXError(f"--later conditions: {name} is queried by, expected one heard")
        check_fit(own, extractor, heard or conditioners, ("mixture", "estimates", "sources"))
        passes.append(
            Pass(
                encoder,
                extractor,
                make("decoder", own["decoder"], own["decoder_conf"]),
                heard,
                consistency=build_consistency(own["consistency"], encoder, extractor),
                stop_gradient=own["stop_gradient"],
            )
        )
    return passes


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


def of_interest(kind: str, name: str, **known: Any) -> Dict[str, Any]:
    """What a part has an option for of what is ``known`` of the model."""
    options = options_of(find(kind, name))
    return {option: value for option, value in known.items() if option in options}


def check_fit(
    config: Mapping[str, Any],
    extractor: AbsTSXExtractor,
    conditioners: Mapping[str, AbsConditioner],
    signals: Sequence[str] = ("mixture", "sources"),
) -> None:
    """Raise ``TSXError`` if an extractor cannot take what a conditioner gives.

    Args:
        signals: those that there are to hear.
    """
    for name, conditioner in conditioners.items():
        for signal in conditioner.hears:
            if signal not in signals:
                raise TSXError(
                    f"conditioner of {name} ({type(conditioner).__name__}): expected one that "
                    f"hears {' or '.join(signals)} in this pass, found {signal}"
                )
    gives = {name: conditioner.gives for name, conditioner in conditioners.items()}
    for name, given in gives.items():
        if given not in (*extractor.accepts, "null"):
            raise TSXError(
                f"--extractor {config['extractor']} takes {' or '.join(extractor.accepts)}, the "
                f"conditioner of {name} ({type(conditioners[name]).__name__}) gives {given}"
            )
    timed = [name for name, given in gives.items() if given == "timed"]
    if timed and len(timed) < len(gives):
        other = next(name for name in gives if name not in timed)
        raise TSXError(f"--conditions: expected all timed or none: {timed[0]} is, {other} is not")


def build_extractor(
    name: str,
    input_dim: int,
    embedding_dim: int,
    conf: Mapping[str, Any],
    further_dim: int = 0,
) -> AbsTSXExtractor:
    """One of our extractors, or of ESPnet's in an ``ESPnetExtractor``.

    Args:
        further_dim: number of input channels beside those of the mixture.
    """
    extractor = find("extractor", name)
    further = {"further_dim": further_dim} if "further_dim" in options_of(extractor) else {}
    if further_dim and not further:
        raise TSXError(f"--extractor {name} of --later: it cannot see estimates beside the mixture")
    if issubclass(extractor, AbsTSXExtractor):
        given = {"input_dim": input_dim, "condition_dim": embedding_dim, **further}
        return make("extractor", name, conf, **given)
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


def build_conditioners(
    config: Mapping[str, Any],
    vocabulary: Vocabulary,
    networks: Networks,
    extractor: AbsTSXExtractor,
) -> Dict[str, AbsConditioner]:
    """The conditioners of all ``conditions`` of a configuration."""
    dim, usual = config["embedding_dim"], config.get("conditioner_conf")
    number = max(2, extractor.num_outputs)
    return {
        name: build_conditioner(name, conf, dim, vocabulary, usual, networks, number)
        for name, conf in config["conditions"].items()
    }


def build_conditioner(
    name: str,
    conf: Mapping[str, Any],
    embedding_dim: int,
    vocabulary: Vocabulary,
    conditioner_conf: Optional[Mapping[str, Mapping[str, Any]]] = None,
    networks: Networks = NO_NETWORKS,
    num_outputs: int = 2,
) -> torch.nn.Module:
    """The conditioner of one condition.

    Args:
        conf: its kind, by default that of the condition, and its options.
        conditioner_conf: kind -> options where ``conf`` has none.
        networks: those that an option ``pretrained`` may name.
        num_outputs: of the model.

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
    known = of_interest("conditioner", kind, fs=vocabulary.fs, num_outputs=num_outputs)
    return make("conditioner", kind, options, output_dim=embedding_dim, **known)
