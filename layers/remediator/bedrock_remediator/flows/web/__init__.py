"""What answers HTTP: requests and responses, pages, and who is at them."""
