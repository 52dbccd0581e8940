"""A page to try: a case explained and priced, a file grouped, a scheme browsed, runs watched.

Everything comes from this package and stays on this machine: no other host is ever asked, nothing
is kept between requests but what the server was started with. Needs the extra `web`.
"""
