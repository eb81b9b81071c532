"""Uses the tools of both servers through the gateway and checks every answer."""

import json
import sys
import time
import urllib.error
import urllib.request

port, token = sys.argv[1], sys.argv[2]


def invoke(tool, **args):
    """Status and body of POST /tools/invoke."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/tools/invoke",
        data=json.dumps({"tool": tool, "args": args}).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as fault:
        return fault.code, json.load(fault)


def check(what, condition, seen):
    if not condition:
        sys.exit(f"FAILED: {what}: {seen}")
    print(f"ok: {what}")


for server in ["pipe", "far"]:
    status, answer = invoke(f"{server}__add", a=2, b=40)
    text = answer["result"]["content"][0]["text"]
    check(f"{server}: a sum", status == 200 and text == "42", answer)
    check(f"{server}: the same for programs", answer["result"]["details"] == {"result": 42}, answer)
    status, answer = invoke(f"{server}__picture")
    image = answer["result"]["content"][1]
    check(f"{server}: a picture", image["type"] == "image" and image["mimeType"] == "image/png", answer)
    status, answer = invoke(f"{server}__fails")
    check(f"{server}: an error is one", status == 400 and "nothing works" in answer["error"]["message"], answer)
    status, answer = invoke(f"{server}__steps")
    check(f"{server}: an answer behind notices", status == 200 and "all steps" in json.dumps(answer), answer)
    status, answer = invoke(f"{server}__add", a="x", b=1)
    check(f"{server}: wrong arguments are told", status == 400, answer)
    status, answer = invoke(f"{server}__grow")
    check(f"{server}: it grows", status == 200, answer)
    deadline = time.monotonic() + 10
    while True:
        status, answer = invoke(f"{server}__grown")
        if status == 200 or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    check(f"{server}: the new tool is there", "I am new" in json.dumps(answer), answer)
