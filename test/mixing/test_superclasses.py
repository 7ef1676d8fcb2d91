import pytest

from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.superclasses import load_superclasses


def test_the_six_of_the_paper():
    # [OCT] Sec. 3.1; 20 animals instead of 21, as Growling was counted twice there
    counts = {name: len(labels) for name, labels in load_superclasses().items()}
    assert counts == {
        "Animal": 20,
        "Musical_instrument": 35,
        "Vehicle": 15,
        "Domestic_sounds_and_home_sounds": 26,
        "Speech": 5,
        "Water": 6,
    }


@pytest.mark.parametrize(
    "text, message",
    [
        ("{", "not JSON"),
        ("[]", "expected {"),
        ("{}", "expected {"),
        ('{"A": []}', "'A' expects a list of sub-classes"),
        ('{"A": {"b": 1}}', "'A' expects a list of sub-classes"),
        ('{"A": ["b"], "A": ["c"]}', "super-class 'A' occurs twice"),
        ('{"A": ["b", "b"]}', "'b' is listed in 'A' and in 'A'"),
        ('{"A": ["b"], "C": ["d", "b"]}', "'b' is listed in 'A' and in 'C'"),
        ('{"A": ["C"], "C": ["d"]}', "'C' is a super-class and a sub-class of 'A'"),
        ('{"A": ["b c"]}', "'A' holds 'b c'"),
        ('{"A": ["b,c"]}', "'A' holds 'b,c'"),
        ('{"A": [3]}', "'A' holds 3"),
    ],
)
def test_refusals(tmp_path, text, message):
    path = tmp_path / "groups.json"
    path.write_text(text)
    with pytest.raises(TSXError, match=message) as caught:
        load_superclasses(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(TSXError, match="groups.json: No such file"):
        load_superclasses(tmp_path / "groups.json")
