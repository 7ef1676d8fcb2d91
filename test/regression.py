"""A second task that is trained reliably: a curve through points, of the smallest size.

    python -m regression --points DIR --output_dir DIR ...
"""

import torch
from espnet2.torch_utils.device_funcs import force_gatherable
from espnet2.train.abs_espnet_model import AbsESPnetModel
from espnet2.train.collate_fn import CommonCollateFn

from tsx_espnet.errors import run_command
from tsx_espnet.training.reliable import ReliableTask


class CurveModel(AbsESPnetModel):
    """y(x), with dropout, so that a step depends on torch's random generator."""

    def __init__(self, hidden: int):
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(1, hidden),
            torch.nn.Tanh(),
            torch.nn.Dropout(0.2),
            torch.nn.Linear(hidden, 1),
        )

    def forward(self, x, y, **batch):
        """x, y: (B, 1)."""
        loss = (self.layers(x) - y).square().mean()
        return force_gatherable((loss, {"loss": loss.detach()}, len(x)), loss.device)

    def collect_feats(self, **batch):
        return {}


class RegressionTask(ReliableTask):
    """``--points DIR`` holds ``x``, ``y`` for training and ``valid_x``, ``valid_y``."""

    setup = ("hidden",)

    @classmethod
    def add_task_arguments(cls, parser):
        parser.add_argument("--points")
        parser.add_argument("--hidden", type=int, default=4)
        parser.set_defaults(batch_type="unsorted")

    @classmethod
    def expand_options(cls, args):
        for mode, prefix in (("train", ""), ("valid", "valid_")):
            rows = [(f"{args.points}/{prefix}{name}", name, "csv_float") for name in ("x", "y")]
            setattr(args, f"{mode}_data_path_and_name_and_type", rows)
            setattr(args, f"{mode}_shape_file", [rows[0][0]])

    @classmethod
    def build_collate_fn(cls, args, train):
        return CommonCollateFn()

    @classmethod
    def build_preprocess_fn(cls, args, train):
        return None

    @classmethod
    def required_data_names(cls, train=True, inference=False):
        return ("x", "y")

    @classmethod
    def optional_data_names(cls, train=True, inference=False):
        return ()

    @classmethod
    def build_model(cls, args):
        return CurveModel(args.hidden)


if __name__ == "__main__":
    from regression import RegressionTask as task  # by its own name, not as part of __main__

    run_command(lambda argv: task.main(cmd=argv))
