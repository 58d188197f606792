"""What the platform declaration means, shared by filters, actions, modules and the CLI.

Standard library only, Python 3.10: parts of it run on the nodes' own interpreter.
"""
