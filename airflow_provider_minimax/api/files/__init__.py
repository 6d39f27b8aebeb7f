"""Files at file hosts and platforms: fetched, and uploaded."""
