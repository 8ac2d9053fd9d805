"""What the contract says, one file per behaviour."""
