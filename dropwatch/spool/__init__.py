"""The four directories of each user. The only room that moves a batch.

folders.py knows the layout, moves.py makes moves durable, tree.py looks without touching, locks.py
keeps two from acting at once. submit.py drops a batch as a person would (copying.py brings its files), identity.py
makes a spool and permissions.py its folders, accounts.py knows whose they are, trial.py tries whether all that works.
"""
