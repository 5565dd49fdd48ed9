"""The planner of a site: its process, its jobs, the plans it makes and keeps, and what it tells each day."""
