"""python -m cconv: the command, where the script of that name is not on the path."""

from .cli import main

if __name__ == "__main__":
    raise SystemExit(main())
