"""Changing a lab's files so that they are old or new whatever happens, and can be taken back."""
