"""How well does the embedded engine read, route, choose and fill? Each script prints its figures."""
