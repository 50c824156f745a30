"""Scripts behind every figure of the documentation, and the tables that they have measured."""
