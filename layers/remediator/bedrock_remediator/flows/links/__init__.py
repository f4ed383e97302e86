"""The signed links to the page of a request."""
