"""``python -m cascade_adapters`` is the command ``cascade``."""

from cascade_adapters.cli import main

if __name__ == "__main__":
    main()
