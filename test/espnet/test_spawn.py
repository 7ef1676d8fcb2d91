"""Training on several GPUs: ESPnet spawns a process for each, which must know our classes too."""

import pickle

import yaml

# what AbsTask.main does for two GPUs, without needing one: spawn main_worker, once stock's, then
# ours. Ours comes pickled, as unpickling it registers our classes, which stock's must not rely on.
COMMAND = """
import multiprocessing, pickle, sys
from espnet2.tasks.enh_tse import TargetSpeakerExtractionTask
from espnet2.train.distributed_utils import resolve_distributed_mode
from probe.worker import work

def parse(task, config):
    args = task.get_parser().parse_args(["--config", config])
    args.version = None
    task.check_required_command_args(args)
    resolve_distributed_mode(args)
    return args

if __name__ == "__main__":
    from tsx_espnet.training.task import TSXTask
    stock = parse(TargetSpeakerExtractionTask, sys.argv[1])
    ours = pickle.dumps((TSXTask.main_worker, parse(TSXTask, sys.argv[2])))
    process = multiprocessing.get_context("spawn").Process(target=work, args=(stock, ours))
    process.start()
    process.join()
    sys.exit(process.exitcode)
"""
WORKER = """
import pickle, sys

def work(stock, ours):
    print("spawned as", sys.modules["__mp_main__"].__spec__.name)
    from espnet2.tasks.enh_tse import TargetSpeakerExtractionTask
    assert "tsx_espnet.training.task" not in sys.modules
    TargetSpeakerExtractionTask.main_worker(stock)
    main_worker, args = pickle.loads(ours)
    main_worker(args)
"""


def test_spawned_workers_know_our_classes(run, tiny, tmp_path):
    package = tmp_path / "probe"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "command.py").write_text(COMMAND)
    (package / "worker.py").write_text(WORKER)
    stock = {
        **tiny.quiet,
        "encoder": "conv",
        "encoder_conf": tiny.conv,
        "decoder": "conv",
        "decoder_conf": tiny.conv,
        "extractor": "sudormrf",
        "extractor_conf": tiny.sudormrf,
        "model_conf": {"num_spk": 1},
        "criterions": [
            {"name": "si_sdr", "conf": {}, "wrapper": "fixed_order", "wrapper_conf": {}}
        ],
    }
    configs = []
    for name, config in (("stock", stock), ("ours", tiny.config)):
        config = {**config, "dry_run": True, "output_dir": str(tmp_path / name)}
        configs.append(tmp_path / f"{name}.yaml")
        configs[-1].write_text(yaml.safe_dump(config))
    hook = f"import sys; sys.path.insert(0, {str(tmp_path)!r})"
    command = run("tsx_espnet.bin.espnet", "probe.command", *configs, hook=hook)
    assert "spawned as tsx_espnet.bin.espnet" in command.out
    for name in ("stock", "ours"):
        written = yaml.safe_load((tmp_path / name / "config.yaml").read_text())
        assert written["extractor"] == "sudormrf"


def test_our_task_is_pickled_by_name():
    from tsx_espnet.training.task import TSXTask

    assert pickle.loads(pickle.dumps(TSXTask.main_worker)).__self__ is TSXTask
