"""What is done with a module before it is built in."""
