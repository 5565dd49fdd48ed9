"""What load and sun will be, how sure that is, and what the weather says."""
