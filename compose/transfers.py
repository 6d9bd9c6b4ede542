"""Writes transfers of money, one JSON object a line: `python compose/transfers.py 100`."""

import json
import random
import sys
import uuid

ACCOUNTS = [f"account-{number:03}" for number in range(100)]


def main(count: int) -> None:
    """Between two of the accounts each, by chance."""
    for _ in range(count):
        debit, credit = random.sample(ACCOUNTS, 2)
        transfer = {
            "transfer_uuid": str(uuid.uuid4()),
            "debit_account": debit,
            "credit_account": credit,
            "amount": random.randint(1, 1_000),
        }
        print(json.dumps(transfer))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
