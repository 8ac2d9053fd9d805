"""The epoch: raised whenever the history that clients have seen is not the database's any more.

Each cursor names the epoch that it was made in; one of another is answered as none, with `reset:
true`. This is the only place that raises it.
"""

from common.database import row

_RAISE = (
    "UPDATE messaging_logstate SET epoch = greatest(epoch, %s) + 1 WHERE id = 1 RETURNING epoch"
)


def raise_epoch(*, beyond: int = 0) -> int:
    """Raise the epoch above its own value and above one that was seen elsewhere; return it.

    An older database knows an older epoch: raised by one alone it could come to one that clients
    have had from the history that is lost.
    """
    epoch: int = row(_RAISE, (beyond,))[0]
    return epoch
