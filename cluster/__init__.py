"""Where the engine runs: Ray workers, durable runs, the gRPC front end and its client.

`cluster` imports `grouper`; `grouper` finds `cluster` by its entry points and never names it.
"""
