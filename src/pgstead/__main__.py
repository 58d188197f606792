"""`python -m pgstead`."""

from pgstead.cli import main

if __name__ == "__main__":
    main()
