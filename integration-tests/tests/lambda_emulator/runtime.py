#!/usr/bin/env python3
"""A runtime that does what its events say."""

import http.client
import json
import os
import signal
import sys
import time

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])


def call(method, path, body=None, headers={}, chunked=False):
    api.request(method, "/2018-06-01/runtime/" + path, body, headers, encode_chunked=chunked)
    response = api.getresponse()
    return response.status, response.headers, response.read()


def stream(path):
    api.putrequest("POST", "/2018-06-01/runtime/" + path)
    api.putheader("Transfer-Encoding", "chunked")
    api.putheader("Lambda-Runtime-Function-Response-Mode", "streaming")
    api.putheader("Trailer", "Lambda-Runtime-Function-Error-Type")
    api.endheaders()
    api.send(b"5\r\nfirst\r\n6\r\nsecond\r\n0\r\nLambda-Runtime-Function-Error-Type: Broken\r\n\r\n")
    assert api.getresponse().read()


with open(os.environ["SEEN"], "a", encoding="utf-8") as file:
    file.write(f"runtime started for {os.environ['_HANDLER']}\n")
if os.environ.get("NO_START"):
    assert call("POST", "init/error", b'{"errorMessage":"no module"}',
                {"Lambda-Runtime-Function-Error-Type": "Runtime.ImportModuleError"})[0] == 202
    sys.exit(1)
while True:
    _, headers, body = call("GET", "invocation/next")
    invocation = "invocation/" + headers["Lambda-Runtime-Aws-Request-Id"]
    event = json.loads(body)
    do = event["do"] if isinstance(event, dict) else "echo"
    if do == "sleep":
        time.sleep(60)
    elif do == "exit":
        os._exit(3)
    elif do == "error":
        call("POST", invocation + "/error", b'{"errorType":"Oops"}', {"Lambda-Runtime-Function-Error-Type": "Oops"})
    elif do == "stream":
        stream(invocation + "/response")
    elif do == "large":
        assert call("POST", invocation + "/response", b"x" * (7 << 20))[0] == 413
    elif do == "misbehave":
        said = [call("GET", "invocation/next")[0], call("POST", "invocation/other/response", b"{}")[0]]
        call("POST", invocation + "/response", json.dumps(said).encode())
        assert call("POST", invocation + "/response", b"{}")[0] in (400, 403)
    elif do == "describe":
        call("POST", invocation + "/response", json.dumps({"pid": os.getpid(), **dict(headers)}).encode())
    else:
        call("POST", invocation + "/response", body)
