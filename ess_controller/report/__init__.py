"""Reports of a day or a month: what was saved, why power was limited, what is missing."""
