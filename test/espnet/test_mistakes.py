"""What a user gets wrong is one clear line and a non-zero exit."""

import shutil

import pytest
import torch
import yaml

from tsx_espnet.errors import TSXError, run_command

TRAIN = "tsx_espnet.bin.train"


def last_line(command):
    """The message of a command that ended on a user's mistake."""
    assert command.wait() == 1, command.err
    assert "Traceback" not in command.err and "usage:" not in command.err
    *_, last = command.err.splitlines()
    assert last.startswith("error: ")
    return last


@pytest.fixture
def fails(start, train_args, tmp_path):
    """The message of the training command with some arguments more, or without some options."""

    def run_failing(*more, without=()):
        pairs = zip(train_args[::2], train_args[1::2])
        kept = [word for pair in pairs if pair[0] not in without for word in pair]
        return last_line(start(TRAIN, *kept, "--output_dir", tmp_path / "exp", *more))

    return run_failing


@pytest.mark.parametrize(
    "option, message",
    [
        ("--mixing_config", "--train_clips needs --mixing_config"),
        ("--train_clips", "--train_clips is missing"),
        ("--valid_mixtures", "--valid_mixtures is missing"),
        ("--text_embeddings", "--text_embeddings is missing"),
    ],
)
def test_missing_option(fails, option, message):
    assert message in fails(without=[option])


def test_no_output_dir(start, train_args):
    assert last_line(start(TRAIN, *train_args)) == "error: --output_dir is missing"


@pytest.mark.parametrize(
    "args, message",
    [
        (["--mixing_config", "no/such.yaml"], "no/such.yaml: no such mixing config"),
        (["--background_noise", "a/b"], "noise a/b: the mixing config has no background"),
        (["--interference", "a/b"], "interference: a/b: no formatted clips there; run format"),
        (["--train_clips", "no/clips"], "--train_clips no/clips: no such directory; run format"),
        (["--valid_mixtures", "no/mix"], "--valid_mixtures: no/mix/wav.scp: no such file; run mix"),
        (["--text_embeddings", "no/table"], "no/table: no such file; embed_text"),
        (["--class_list", "no/list"], "--class_list no/list: no such file"),
        (["--config", "no/such.yaml"], "--config no/such.yaml: no such file"),
        (["--ngpu", "99"], "GPUs; 0 trains on the CPU"),
        (["--method_config", "no/such.yaml"], "--method_config no/such.yaml: no such file"),
        (["--method", "no/such.yaml"], "no option --method; did you mean --method_config?"),
        (["--init_param", "no/such.pth"], "no/such.pth: no such file"),
        (["--fs", "16000"], "expected 16000 Hz as for training, found 8000 Hz"),
        (["--mixtures_per_epoch", "0"], "mixtures_per_epoch: expected at least 1, found 0"),
        (["--extracter", "sudormrf"], "no option --extracter; did you mean --extractor?"),
        (["--extractor", "sudo"], "argument --extractor: invalid choice: 'sudo' (choose from"),
        (["--config"], "argument --config: expected one argument"),
        (["--embedding_dim", "many"], "argument --embedding_dim: invalid int value: 'many'"),
        (["sudormrf"], "expected an option, found 'sudormrf'"),
        (["--objective_conf", "condition=colour"], "objective_conf of oct: condition: expected"),
        (["--extractor_conf", "num_block=2"], "extractor_conf of sudormrf: no option 'num_block'"),
        (["--conditions", "colour={}"], "colour"),
        (["--train_data_path_and_name_and_type", "a,b,c"], "exclude each other"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_bad_option(fails, args, message):
    assert message in fails(*args)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"extracter": "sudormrf"}, "no option extracter; did you mean extractor?"),
        ({"qqqq": 1}, "no option qqqq; --help_all lists them"),
        ({"extractor": "sudo"}, "extractor: expected one of td_speakerbeam, sudormrf,"),
        ({"consistency": "equal"}, "consistency: expected one of uniform, energy, predicted"),
        ({"objective": 3}, "objective: expected one of single, hct, oct"),
        ({"objective_conf": {"canditates": []}}, "objective_conf of oct: no option 'canditates'"),
        ({"encoder_conf": {"channel": 4}}, "encoder_conf of conv: missing: kernel_size, stride"),
        ({"optim_conf": {"learning_rate": 1}}, "optim_conf of adam: no option 'learning_rate'"),
        (
            {"scheduler": "steplr", "scheduler_conf": {"gama": 1}},
            "scheduler_conf of steplr: no option 'gama'; did you mean gamma?",
        ),
        ({"scheduler": "steplr"}, "scheduler_conf of steplr: missing: step_size"),
        ({"embedding_dim": None}, "embedding_dim: expected a number, found None"),
        ({"batch_size": "many"}, "argument --batch_size: invalid int value: 'many'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_yaml_option(fails, tiny, tmp_path, change, message):
    (tmp_path / "bad.yaml").write_text(yaml.safe_dump({**tiny.config, **change}))
    assert message in fails("--config", tmp_path / "bad.yaml")


@pytest.mark.parametrize("text", ["", "a: [", "- a\n- b"])
def test_bad_yaml_file(fails, tmp_path, text):
    (tmp_path / "bad.yaml").write_text(text)
    assert f"--config {tmp_path / 'bad.yaml'}: " in fails("--config", tmp_path / "bad.yaml")


def test_choices_of_a_yaml_are_read_as_on_the_command_line(run, tiny, tmp_path):
    """ESPnet lowers names, and takes null, none and nil for nothing."""
    config = {**tiny.config, "extractor": "SudoRMRF", "consistency": "none", "scheduler": None}
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(config))
    args = ("--config", tmp_path / "train.yaml", "--dry_run", "true")
    run(TRAIN, *args, "--output_dir", tmp_path / "exp")


@pytest.mark.parametrize("num_workers", [0, 2])
def test_error_in_a_worker(fails, data, tmp_path, num_workers):
    """A clip that vanishes is named, and not torch's account of its worker."""
    clips = tmp_path / "clips"
    shutil.copytree(data.clips, clips)
    table = (clips / "wav.scp").read_text().replace(str(data.clips), str(clips))
    (clips / "wav.scp").write_text(table)
    for path in sorted((clips / "wav").iterdir())[1:]:
        path.unlink()
    last = fails("--train_clips", clips, "--num_workers", num_workers)
    assert last.startswith(f"error: {clips}/wav/")
    assert last.endswith("no such file; run format again")


def test_error_of_a_value_in_a_validation_worker(fails, data, tmp_path):
    (tmp_path / "classes").write_text("Bark\nRain\nHorn\n")  # without their super-classes
    mixtures = tmp_path / "mixtures"
    shutil.copytree(data.mixtures, mixtures)
    table = (mixtures / "utt2class").read_text().splitlines()
    (mixtures / "utt2class").write_text("\n".join([f"{table[0].split()[0]} Barking", *table[1:]]))
    last = fails("--valid_mixtures", mixtures, "--num_workers", 1)
    assert last.startswith("error: unknown class 'Barking'; nearest known: 'Bark'")


def test_missing_audio_of_the_validation_set(fails, data, tmp_path):
    """ESPnet would find out after the first epoch, with a traceback of libsndfile."""
    mixtures = tmp_path / "mixtures"
    shutil.copytree(data.mixtures, mixtures)
    name, _ = (mixtures / "wav.scp").read_text().split("\n")[0].split(" ", 1)
    (mixtures / "wav.scp").write_text(f"{name} {tmp_path}/gone.wav\n")
    last = fails("--valid_mixtures", mixtures)
    missing = f"{mixtures}/wav.scp: {name}: no such file {tmp_path}/gone.wav"
    assert last == f"error: {missing}; run mix again"


def test_a_validation_set_from_before_there_was_a_condition(fails, data, tmp_path):
    mixtures = tmp_path / "mixtures"
    shutil.copytree(data.mixtures, mixtures)
    (mixtures / "utt2enrollment").unlink()
    last = fails("--valid_mixtures", mixtures, "--conditions", "enrollment={}")
    missing = f"{mixtures}/utt2enrollment: no such file; run mix again"
    assert last == f"error: --valid_mixtures: {missing}"


def test_error_in_a_spawned_process(capsys):
    """Training on several GPUs runs in processes of torch's, which wrap the error once more."""

    def main(argv):
        torch.multiprocessing.start_processes(_fail, nprocs=1, start_method="fork")

    with pytest.raises(SystemExit) as ended:
        run_command(main)
    assert ended.value.code == "error: the clip 'a' is missing"


def _fail(rank):
    raise TSXError("the clip 'a' is missing")


def test_a_bug_keeps_its_traceback():
    def main(argv):
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        run_command(main)


@pytest.mark.parametrize(
    "command, hint",
    [("enh_tse_trian", "did you mean enh_tse_train?"), ("no.such", "no module no.such")],
)
def test_no_such_command_of_espnet(start, command, hint):
    last = last_line(start("tsx_espnet.bin.espnet", command))
    assert f"{command!r} is not a command of ESPnet" in last and hint in last
