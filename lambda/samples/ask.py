"""A function that asks the extension beside it, by itself, whether somebody may do something.

{"who": "ann", "action": "read", "what": "report"} is answered {"allowed": true}.
"""

import json
import os
import urllib.request

URL = "http://" + os.environ.get("AECP_LISTEN", "127.0.0.1:8180") + "/access/v1/evaluation"


def is_allowed(who, action, what):
    """Whether the policies allow it; not, if nobody can say so."""
    question = {
        "subject": {"type": "user", "id": who},
        "action": {"name": action},
        "resource": {"type": "document", "id": what},
    }
    request = urllib.request.Request(URL, json.dumps(question).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=1) as answer:
            return json.load(answer)["decision"] is True
    except (OSError, ValueError, KeyError):
        return False


def handler(event, context):
    return {"allowed": is_allowed(event["who"], event["action"], event["what"])}
