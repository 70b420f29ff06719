"""The forms of the names that clients use: assets, markets, orders, accounts; never whether there is such a thing.

Every name that reaches the engine has one of these forms, which is what lets rows and keys be written without quoting.
"""

import re

ASSET = re.compile(r"[A-Z0-9]{1,16}", re.ASCII)
SYMBOL = re.compile(r"[A-Z0-9]{1,16}-[A-Z0-9]{1,16}", re.ASCII)
ORDER_ID = re.compile(r"[0-9]{1,9}-[a-z2-7]{26}", re.ASCII)
CLIENT_ORDER_ID = re.compile(r"[A-Za-z0-9_-]{1,36}", re.ASCII)
ACCOUNT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
API_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
