"""Why a plan does what it does in one step, and what would change it."""
