"""Who may sign and where to send it, read from the file that a run or a deployment leaves; it never writes one."""

import json
from dataclasses import dataclass
from pathlib import Path

from client.signing import Key

DEFAULT_PATH = Path(".local/credentials.json")


@dataclass(frozen=True, slots=True)
class Account:
    """An account that can sign."""

    account_id: str
    key: Key


@dataclass(frozen=True, slots=True)
class Credentials:
    """The address of an exchange and the accounts by name."""

    base_url: str
    accounts: dict[str, Account]

    def account(self, name: str) -> Account:
        """Return the account called `name`; raise `ValueError` naming those there are."""
        if name not in self.accounts:
            raise ValueError(f"no account {name!r} in the credentials, only {', '.join(sorted(self.accounts))}")
        return self.accounts[name]


def read(path: Path = DEFAULT_PATH) -> Credentials:
    """Read the credentials file; raise `ValueError`, its text for people, where there is none of this form."""
    try:
        document = json.loads(path.read_text())
        accounts = {
            name: Account(entry["account_id"], Key(entry["api_key"], entry["secret"]))
            for name, entry in document["accounts"].items()
        }
        return Credentials(document["base_url"], accounts)
    except FileNotFoundError:
        raise ValueError(f"{path} is not there: start the exchange with `make run` first") from None
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is no credentials file: {error!r}") from None
