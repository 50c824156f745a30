"""Reading files that may be damaged without harm, and writing them whole or not at all."""
