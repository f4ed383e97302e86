"""People's decisions: what may be decided, the page and the API on which it is, and the routes to them."""
