"""The meter book: what load and sun really were, block by block, kept for four hundred days."""
