"""Ways to get a fileset into an image store. base.py is the contract; each other module keeps it."""
