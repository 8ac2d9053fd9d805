"""The contract, tried from outside: a whole stack over real HTTP, and with its parts failing."""
