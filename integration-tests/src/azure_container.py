"""Makes a container in Azurite: URL CONTAINER. The account and its key are the emulator's, known to all."""

import base64, email.utils, hashlib, hmac, sys, urllib.request

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
VERSION = "2023-11-03"

url, container = sys.argv[1:]
date = email.utils.formatdate(usegmt=True)
headers = f"x-ms-date:{date}\nx-ms-version:{VERSION}\n"
signed = "PUT" + "\n" * 12 + headers + f"/{ACCOUNT}/{ACCOUNT}/{container}\nrestype:container"
mac = hmac.new(base64.b64decode(KEY), signed.encode(), hashlib.sha256).digest()
request = urllib.request.Request(
    f"{url}/{ACCOUNT}/{container}?restype=container",
    method="PUT",
    headers={
        "x-ms-date": date,
        "x-ms-version": VERSION,
        "Content-Length": "0",
        "Authorization": f"SharedKey {ACCOUNT}:{base64.b64encode(mac).decode()}",
    },
)
urllib.request.urlopen(request)
