"""The client of OmoiOS."""

from shared.client.client import Answer, Client, ClientError, RefusedByService, TooLarge, Unreachable

__all__ = ["Answer", "Client", "ClientError", "RefusedByService", "TooLarge", "Unreachable"]
