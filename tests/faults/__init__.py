"""The promise, kept while processes are killed, frozen, emptied and filled."""
