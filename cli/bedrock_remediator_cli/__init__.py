"""The operator's command, `bedrock-remediator`: for people at a terminal, never shipped to Lambda."""

from typing import Final

__version__: Final = "0.1.0"
