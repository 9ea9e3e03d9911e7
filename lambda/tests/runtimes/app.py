"""A function that writes each event into the file $SEEN and answers with it, or fails as the event says."""

import json
import os
import time

if os.environ.get("NO_START"):
    raise ImportError("this function cannot be imported")


def handler(event, context):
    with open(os.environ["SEEN"], "a", encoding="utf-8") as file:
        file.write(json.dumps(event) + "\n")
    job = event.get("job")
    if job == "sleep":
        time.sleep(600)
    elif job == "pause":
        time.sleep(2)
    elif job == "crash":
        os._exit(3)
    elif job == "raise":
        raise ValueError("no such job")
    return event
