"""`python -m grouper`."""

from grouper.cli.app import main

if __name__ == "__main__":
    main()
