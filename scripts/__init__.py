"""What a person runs against Strata from a checkout: the demo and the bench."""
