"""The scripts folder on the path, and the command lines as fixtures."""
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))


@pytest.fixture
def script():
    """Runs scripts/python scripts/NAME ARGS; the CompletedProcess has stdout and stderr as text."""
    def run(name, *args):
        return subprocess.run([SCRIPTS / "python", SCRIPTS / name, *map(str, args)], capture_output=True,
                              text=True)
    return run
