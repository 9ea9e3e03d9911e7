#!/usr/bin/env python3
"""An extension that does what its file's name says, and writes what happens to it into the file $SEEN."""

import json
import os
import sys
import time
import urllib.request

NAME = os.path.basename(sys.argv[0])
API = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2020-01-01/extension/"


def call(path, headers, body=None):
    with urllib.request.urlopen(urllib.request.Request(API + path, body, headers)) as response:
        return response.status, dict(response.headers.items()), json.loads(response.read())


def seen(what):
    with open(os.environ["SEEN"], "a", encoding="utf-8") as file:
        file.write(f"{NAME} {what}\n")


events = ["INVOKE"] if NAME == "untold" else ["INVOKE", "SHUTDOWN"]
time.sleep(0.2)
_, headers, answer = call("register", {"Lambda-Extension-Name": NAME, "Lambda-Extension-Accept-Feature": "accountId"},
                          json.dumps({"events": events}).encode())
assert answer["functionVersion"] == "$LATEST" and answer["accountId"] == "123456789012", answer
seen("registered")
me = {"Lambda-Extension-Identifier": headers["lambda-extension-identifier"]}
broken = {**me, "Lambda-Extension-Function-Error-Type": f"{NAME}.Broken"}
why = json.dumps({"errorMessage": "no reason", "errorType": "Broken", "stackTrace": []}).encode()
if NAME == "no-start":
    assert call("init/error", broken, why)[0] == 202
    sys.exit(1)
while True:
    _, _, event = call("event/next", me)
    seen(f"{event['eventType']} {event.get('requestId', event.get('shutdownReason'))}")
    assert event["deadlineMs"] > time.time() * 1000
    if NAME == "breaks" and event["eventType"] == "INVOKE":
        assert call("exit/error", broken, why)[0] == 202
        sys.exit(1)
    if NAME == "crashes" and event["eventType"] == "INVOKE":
        os.abort()
    if event["eventType"] == "SHUTDOWN":
        while NAME == "stays":
            time.sleep(1)
        sys.exit(0)
