"""What every room shares: the cache client, the error shape, the base of the routes."""
