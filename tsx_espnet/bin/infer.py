"""Extract every target of a set of mixtures, and its rest, by each applicable condition."""

import argparse
from typing import Any, Optional, Sequence, Tuple

from tsx_espnet.checks import check_at_least
from tsx_espnet.cli import CommandParser, Jobs, add_job_arguments
from tsx_espnet.errors import TSXError, run_command


def get_parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--exp", required=True, help="directory of a trained experiment")
    parser.add_argument("--model_file", help="weights (default: the averaged ones)")
    parser.add_argument("--mixtures", required=True, help="the mixture set")
    parser.add_argument("--out", required=True, help="directory of the estimates")
    parser.add_argument(
        "--conditions", help="of the model's conditions, those to query by: A,B (default: all)"
    )
    parser.add_argument(
        "--num_enrollments",
        type=int,
        metavar="K",
        help="query by the first K enrollments of each mixture (default: all it has)",
    )
    parser.add_argument(
        "--shuffle_heard",
        action="store_true",
        help="a control, marked in all results: the model hears another mixture in place of each; "
        "give it an --out of its own",
    )
    parser.add_argument(
        "--num_passes",
        type=int,
        metavar="K",
        help="the outputs of the K-th pass (default: of the last); give it an --out of its own",
    )
    parser.add_argument("--batch_size", type=int, default=8, help="mixtures at once")
    parser.add_argument("--audio_format", default="wav", choices=["wav", "flac"])
    parser.add_argument("--ngpu", type=int, default=0, help="0: use the CPU")
    parser.add_argument("--num_threads", type=int, default=1, help="of the CPU, for this process")
    add_job_arguments(parser)
    return parser


def chosen_conditions(names: Optional[str], known: Tuple[str, ...]) -> Tuple[str, ...]:
    """Those of ``known`` that are named in ``A,B``, in the order of ``known``.

    Raises:
        TSXError: naming the one that the model cannot be queried by.
    """
    if names is None:
        return known
    chosen = names.split(",")
    for name in chosen:
        if name not in known:
            expected = ", ".join(known)
            raise TSXError(f"--conditions: expected some of {expected}, found {name!r}")
    return tuple(name for name in known if name in chosen)


def keep_passes(model: Any, number: int) -> None:
    """Cut off the passes after the first ``number``.

    Raises:
        TSXError: if there are not so many.
    """
    total = 1 + len(model.later)
    if not 1 <= number <= total:
        raise TSXError(f"--num_passes: expected 1 to {total}, found {number}")
    model.later = model.later[: number - 1]


def main(argv: Sequence[str] = None) -> None:
    args = get_parser().parse_args(argv)
    jobs = Jobs.of(args)
    check_at_least(1, batch_size=args.batch_size, num_threads=args.num_threads)

    import torch

    from tsx_espnet.estimates import Estimates
    from tsx_espnet.evaluation.shuffled import ShuffledEstimates
    from tsx_espnet.experiment import load_experiment
    from tsx_espnet.mixing.mixture_set import MixtureSet

    torch.set_num_threads(args.num_threads)
    device = "cuda" if args.ngpu > 0 else "cpu"
    experiment = load_experiment(args.exp, args.model_file, device)
    conditions = chosen_conditions(args.conditions, tuple(experiment.config["conditions"]))
    kind = ShuffledEstimates if args.shuffle_heard else Estimates
    if args.num_passes is not None:
        keep_passes(experiment.model, args.num_passes)
    estimates = kind(
        experiment,
        MixtureSet(args.mixtures),
        conditions,
        args.out,
        num_enrollments=args.num_enrollments,
        batch_size=args.batch_size,
        audio_format=args.audio_format,
    )
    if args.num_passes is not None:
        estimates.facts["num_passes"] = args.num_passes
    estimates.write(jobs)


if __name__ == "__main__":
    run_command(main)
