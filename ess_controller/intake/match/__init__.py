"""`ess match`: modules grouped into strings so that a site can use the most of them."""
