"""The command line of tokenlake: options in, a query or an ingest, a rendered result out."""
