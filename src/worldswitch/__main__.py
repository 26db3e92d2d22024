"""`python -m worldswitch`."""

from worldswitch.cli.main import main

main()
