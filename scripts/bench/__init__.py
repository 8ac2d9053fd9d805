"""`make bench`: what a request costs, in CPU time over all server processes."""
