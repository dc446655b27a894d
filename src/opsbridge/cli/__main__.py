"""`python -m opsbridge.cli`: the same as the console script `opsbridge`, for callers that know only the interpreter."""

from opsbridge.cli.main import main

if __name__ == "__main__":
    main()
