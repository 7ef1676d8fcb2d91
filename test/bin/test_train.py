"""``train --print_...``: what a model of some configuration is queried by, takes and needs."""

import subprocess
import sys

import pytest

from tsx_espnet.bin.train import conditions_of, main
from tsx_espnet.errors import TSXError


@pytest.fixture
def config(tmp_path):
    """``config(text)``: the path of a yaml of these options."""

    def write(text, name="method.yaml"):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


def test_the_method_goes_over_the_configuration(config):
    method = config("conditions:\n  class: {conditioner: onehot}\n")
    sizes = config("conditions: {text: {}, energy: {}}\nmax_epoch: 3\n", "train.yaml")
    assert conditions_of(["--config", sizes, "--method_config", method]) == {
        "class": {"conditioner": "onehot"}
    }
    assert tuple(conditions_of(["--config", sizes])) == ("text", "energy")


def test_those_of_a_configuration_that_names_none(config):
    from tsx_espnet.training.options import DEFAULT_CONDITIONS

    assert tuple(conditions_of(["--config", config("max_epoch: 3\n")])) == DEFAULT_CONDITIONS
    assert tuple(conditions_of([])) == DEFAULT_CONDITIONS


@pytest.mark.parametrize("text", ["- 1", "conditions: text", "conditions:", "a: [", ""])
def test_a_file_that_says_nothing_of_the_kind_is_named(config, text):
    with pytest.raises(TSXError, match="method.yaml: "):
        conditions_of(["--method_config", config(text)])


def test_a_misspelt_option():
    with pytest.raises(TSXError, match="no option --confg; did you mean --config?"):
        conditions_of(["--confg", "x"])


def test_as_a_recipe_asks(config):
    """A line each, without the imports that take seconds; an error is one line."""
    command = [sys.executable, "-X", "importtime", "-m", "tsx_espnet.bin.train"]
    command += ["--print_conditions", "--method_config"]
    path = config("conditions: {enrollment: {}, class: {}}")
    done = subprocess.run([*command, path], capture_output=True, text=True, check=True)
    assert done.stdout == "enrollment\nclass\n"
    assert not any(name in done.stderr for name in ("| torch\n", "espnet2\n"))
    failed = subprocess.run([*command, "nowhere.yaml"], capture_output=True, text=True)
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1].startswith("error: nowhere.yaml: ")


@pytest.mark.parametrize(
    "conditions, takes",
    [
        ("{energy: {}, text: {}}", "index\nvector\n"),
        ("{class: {conditioner: text}}", "vector\n"),
        ("{text: {conditioner: tokens, pretrained: clap}}", "tokens\n"),
        ("{enrollment: {}, unconditional: {}}", "index\nsamples\n"),
    ],
)
def test_what_its_conditioners_take(config, capsys, conditions, takes):
    main(["--print_takes", "--config", config(f"conditions: {conditions}\n")])
    assert capsys.readouterr().out == takes


HEARS = "{conditioner: classifier, pretrained: %s}"


@pytest.mark.parametrize(
    "method, networks",
    [
        ("conditions: {energy: {}}\nlater: [{}]", ""),
        ("conditions: {text: {conditioner: tokens, pretrained: clap}}", "clap\n"),
        ("conditions: {unconditional: %s}" % (HEARS % "one"), "one\n"),
        ("conditions: {energy: {}}\nlater: [{conditions: {a: %s}}]" % (HEARS % "b"), "b\n"),
        ("conditions: {a: {}}\nobjective_conf: {pretrained: c}\npretrained: {a: dir}", "c\n"),
        ("conditions: {a: {pretrained: z}, b: {pretrained: y}}", "y\nz\n"),
    ],
)
def test_the_networks_that_its_parts_need(config, capsys, method, networks):
    sizes = config("max_epoch: 3\nconditions: {energy: {pretrained: not_used}}\n", "train.yaml")
    main(["--print_pretrained", "--config", sizes, "--method_config", config(method)])
    assert capsys.readouterr().out == networks
