"""The signature of an hour object: whose key it lies at, what it holds, and which writing of it.

The first writing of a key has generation 1, each further one the next. Which is the current one is
known by the index, and in the bucket by the manifests: an older object that is rightly signed, put
back where it lay, is not taken for the current one.
"""

from archive.hours import Damaged, Facts
from common import archive_key

PURPOSE = "hour object"
BEFORE = 0
"""The generation, in the index, of an object from before there were signatures."""
FIRST = 1


class Unsigned(Damaged):
    """An object is not signed, not by a key of the ring, or not the one that is to be there."""


def signed_metadata(key: str, facts: Facts, generation: int) -> dict[str, str]:
    """Return the metadata of an object that is about to be written at a key."""
    return {
        **facts.metadata(),
        "generation": str(generation),
        "signature": archive_key.sign(PURPOSE, _text(key, facts, generation)),
    }


def generation_of(key: str, metadata: dict[str, str]) -> int:
    """Return the generation that an object's signature vouches for; raises Unsigned, Damaged."""
    facts = Facts.read(metadata)
    signature, generation = metadata.get("signature"), metadata.get("generation", "")
    if not signature:
        raise Unsigned("it is not signed")
    if not (generation.isascii() and generation.isdecimal()):
        raise Unsigned("it does not say which generation it is")
    number = int(generation)
    if not archive_key.is_signed(signature, PURPOSE, _text(key, facts, number)):
        if archive_key.key_id_of(signature) not in archive_key.ids():
            raise Unsigned("it is signed with a key that ARCHIVE_KEY does not have")
        raise Unsigned("its signature is not right")
    return number


def check(key: str, metadata: dict[str, str], current: int) -> int:
    """Return an object's generation; raises Unsigned unless it is the current one or newer.

    A newer one is there while a run that wrote it has not recorded that. Where the index is from
    before there were signatures, an object without one is taken by its digest alone.
    """
    if current == BEFORE and not metadata.get("signature"):
        return BEFORE
    generation = generation_of(key, metadata)
    if generation < current:
        raise Unsigned(older(generation, current))
    return generation


def older(generation: int, current: int) -> str:
    """Return what is said of an object that an older writing was put in place of."""
    return f"it is an older one: generation {generation}, and {current} was written"


def _text(key: str, facts: Facts, generation: int) -> str:
    return f"{key}\n{facts.first}\n{facts.last}\n{facts.count}\n{facts.sha256}\n{generation}"
