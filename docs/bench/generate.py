#!/usr/bin/env python3
"""Generates the policy sets and requests behind the README's figures.

    docs/bench/generate.py 250 /tmp/bench
    aecp bench /tmp/bench/set --requests /tmp/bench/requests.jsonl

N policies in 15 modules (50 from 1,000 on), ten for each resource type, so that the number of policies that a
request meets stays the same however many there are; 10,000 requests, one in twenty with an attribute missing.
"""

import json
import os
import random
import sys

REGIONS = ["EU", "US", "APAC"]
LOCATIONS = ["eu-west-1", "eu-central-1", "us-east-1", "us-west-2", "ap-south-1"]
ROLES = ["dpo", "viewer", "admin", "auditor", "clerk"]
SCHEMA = """SCHEMA {
  action.name: STRING
  customer.region: ENUM("EU", "US", "APAC")
  payload.size_kb: INT
  principal.department: STRING
  principal.level: INT
  principal.roles: LIST<STRING>
  request.mfa: BOOL
  resource.type: STRING
  source.ip: IP
  storage.encrypted: BOOL
  storage.location: STRING
  transport.tls_version: DECIMAL
}
"""


def policy(pick, number, resource):
    kind = pick.randrange(5)
    scope = resource
    if kind == 0:
        scope += f' WHERE customer.region == "{pick.choice(REGIONS)}"'
    elif kind == 1:
        scope += ' WHERE action.name IN ["read", "write"]'
    elif kind == 2:
        scope += f' WHERE principal.level >= {pick.randrange(5)} AND customer.region != "APAC"'
    kind = pick.randrange(6)
    constraint = [
        f"storage.location IN {json.dumps(pick.sample(LOCATIONS, 3))}",
        f"payload.size_kb <= {pick.randrange(500, 2000)}",
        f'principal.roles CONTAINS "{pick.choice(ROLES)}" OR request.mfa',
        f'source.ip IN CIDR "10.{pick.randrange(4)}.0.0/16" OR principal.level > 2',
        "transport.tls_version >= 1.2 AND request.mfa",
        'principal.department STARTS WITH "fin" OR storage.encrypted',
    ][kind]
    enforcement = pick.choice(["BLOCKING"] * 4 + ["ADVISORY"])
    return (
        f"POLICY p{number:05d} {{\n  SCOPE: {scope}\n  CONSTRAINT: {constraint}\n"
        f"  ENFORCEMENT: {enforcement}\n}}\n"
    )


def request(pick, number, resources):
    attributes = {
        "resource": {"type": pick.choice(resources), "id": f"r{number}"},
        "customer": {"region": pick.choice(REGIONS)},
        "action": {"name": pick.choice(["read", "write", "delete"])},
        "principal": {
            "id": f"user{number}",
            "level": pick.randrange(6),
            "roles": pick.sample(ROLES, 2),
            "department": pick.choice(["finance", "sales"]),
        },
        "storage": {"location": pick.choice(LOCATIONS), "encrypted": pick.random() < 0.5},
        "payload": {"size_kb": pick.randrange(3000)},
        "request": {"mfa": pick.random() < 0.5},
        "source": {"ip": f"10.{pick.randrange(6)}.1.2"},
        "transport": {"tls_version": pick.choice([1.1, 1.2, 1.3])},
    }
    if pick.random() < 0.05:
        del attributes["customer"]
    return attributes


def main():
    count, folder = int(sys.argv[1]), sys.argv[2]
    pick = random.Random(1)
    resources = [f"resource_kind_{n:04d}" for n in range(max(1, count // 10))]
    modules = {}
    for number in range(count):
        text = policy(pick, number, resources[number % len(resources)])
        modules.setdefault(number % (15 if count < 1000 else 50), []).append(text)
    os.makedirs(f"{folder}/set", exist_ok=True)
    with open(f"{folder}/set/schema.aecp", "w") as file:
        file.write(SCHEMA)
    for module, policies in modules.items():
        with open(f"{folder}/set/module{module}.aecp", "w") as file:
            file.write("\n".join(policies))
    with open(f"{folder}/requests.jsonl", "w") as file:
        for number in range(10_000):
            file.write(json.dumps(request(pick, number, resources)) + "\n")


main()
