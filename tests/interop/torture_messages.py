"""The 49 messages of RFC 4475 as it prints them (sections 3.1.1.1 to 3.4.1), by the names it gives them."""

from torture_invalid import INVALID
from torture_notation import octets
from torture_semantics import APPLICATION, BACKWARD, TRANSACTION
from torture_valid import VALID

MESSAGES = {
    name: octets(text) for group in (VALID, INVALID, TRANSACTION, APPLICATION, BACKWARD) for name, text in group.items()
}
