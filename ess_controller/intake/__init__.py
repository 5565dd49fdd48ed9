"""What a technician does with a module before it is built in: test it, fit its cell file, see how well that tells."""
