"""The pictures of the documents; ``docs/make_pictures.py`` makes them."""
