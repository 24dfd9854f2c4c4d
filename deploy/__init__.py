"""How OmoiOS is run on machines of its own."""
