"""docs/licences.md as it should be: what the layer ships, read from its locked requirements and their own metadata.

`python -m tests.builders.licences` prints it; `make licences` writes it.
"""

import re
from importlib.metadata import metadata
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
LOCKED: Final = ROOT / "layers" / "remediator" / "requirements.txt"
PERMISSIVE: Final = frozenset({"Apache-2.0", "BSD-3-Clause", "MIT", "MIT-0", "PSF-2.0"})
"""Licences that ask for no more than that their text goes along, as it does: in each `*.dist-info` of the layer."""

_CLASSIFIED: Final = {"License :: OSI Approved :: BSD License": "BSD-3-Clause"}
"""What packages that name their licence in no other way mean; looked up in the text that they ship."""

_HEAD: Final = """# Licences of what ships

The functions' layer holds these packages, locked by hash in `layers/remediator/requirements.txt`, beside this project's
own code (Apache License 2.0, [LICENSE](../LICENSE)). Lambda's runtime brings Python and boto3. Each package keeps its
licence's text in the layer, in its `.dist-info` folder. The descriptions of AWS's services in
`bedrock_remediator/aws/models` are cut out of botocore's (Apache-2.0, locked in `layers/remediator/botocore.txt`);
its licence and notice lie beside them. Made by `make licences`; a test holds it to the lock.

| package | version | licence |
| --- | --- | --- |
"""


def locked() -> dict[str, str]:
    """Name -> version of every package that the layer is built of."""
    found = re.findall(r"^([a-z0-9_.-]+)==([^ ;\\]+)", LOCKED.read_text(encoding="utf-8"), re.MULTILINE)
    return dict(found)


def licence(package: str) -> str:
    """The SPDX expression of a package that is installed.

    Raises:
        KeyError: It does not say, or not in a way that is known here: look it up, and say so in `_CLASSIFIED`.
    """
    told = metadata(package)
    said = [*(told.get_all("License-Expression") or ()), *(told.get_all("License") or ())]
    expression = str(said[0]) if said else ""
    if set(re.split(r" OR | AND ", expression)) <= PERMISSIVE:
        return expression
    (classified,) = (each for each in told.get_all("Classifier") or () if each.startswith("License ::"))
    return _CLASSIFIED[classified]


def page() -> str:
    """The whole page."""
    return _HEAD + "".join(f"| {name} | {version} | {licence(name)} |\n" for name, version in sorted(locked().items()))


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 - a program that prints
