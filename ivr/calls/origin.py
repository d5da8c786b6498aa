"""Where a call comes from and what for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class CallOrigin:
    """Where a call comes from and what for. `variables`: what a call of ours brings into its flow."""

    direction: Literal["in", "out"]
    purpose: Literal["flow", "internal", "outgoing"]
    caller: str
    called: str
    peer: str = ""
    sip_call_id: str = ""
    display_name: str = ""
    private: bool = False
    flow: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def number(self) -> str:
        """Whose the caller's leg is; empty where that is withheld."""
        return self.called if self.direction == "out" else self.caller
