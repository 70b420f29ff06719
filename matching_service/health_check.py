"""The container's health check: `python -m matching_service.health_check` asks the task on this machine.

It prints what the task says of itself; its exit code is 0 when the task is healthy, else 1. It imports next to nothing,
since it runs every few seconds beside a leader.
"""

import http.client
import sys

from exchange import settings

HOST = "127.0.0.1"
TIMEOUT_S = 4.0
HEALTHY = 200


def check(port: int) -> tuple[bool, str]:
    """Return whether the task is healthy, and what it said."""
    connection = http.client.HTTPConnection(HOST, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        return answer.status == HEALTHY, answer.read().decode()
    except (OSError, http.client.HTTPException) as error:
        return False, str(error)
    finally:
        connection.close()


def main() -> int:
    """Print what the task says of itself and return the exit code of the check."""
    healthy, said = check(settings.load(settings.HealthCheck).health_port)
    sys.stdout.write(said + "\n")
    return 0 if healthy else 1


if __name__ == "__main__":
    sys.exit(main())
