"""Whether the service in this container says that it is ready; the healthcheck of the images."""

import http.client
import os
import sys

connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["OMOI_HTTP_PORT"]), timeout=4)
try:
    connection.request("GET", "/readyz")
    answer = connection.getresponse()
except OSError as error:
    sys.exit(f"No answer: {error}")
sys.exit(None if answer.status == http.client.OK else answer.read().decode())
