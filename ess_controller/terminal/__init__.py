"""What commands show and say on a terminal."""
