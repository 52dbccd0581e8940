"""The gRPC front end: thin services over `grouper`, run side by side with long runs."""
