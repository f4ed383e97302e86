"""Before anyone is denied: which principals may invoke a model and will fail, and what would help them."""
