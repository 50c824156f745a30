"""Networks: families of them, their models on disk, training and running them."""
