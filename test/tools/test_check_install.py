"""tools/check_install.py in an environment without a package: a line, where it was a traceback."""

import importlib.metadata
import importlib.util
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / "tools" / "check_install.py"


@pytest.mark.parametrize("missing", ["tsx_espnet", "espnet"])
def test_a_missing_package_is_named(missing, monkeypatch):
    def version(package):
        if package == missing:
            raise importlib.metadata.PackageNotFoundError(package)
        return "1"

    monkeypatch.setattr(importlib.metadata, "version", version)
    spec = importlib.util.spec_from_file_location("check_install", PATH)
    check_install = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(check_install)
    with pytest.raises(SystemExit, match=f"error: {missing} is not installed; run 'pip install"):
        check_install.main()
