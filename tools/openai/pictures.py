"""OpenAI's library sends pictures and texts through the gateway to a scripted model, whose requests
have them: python3 pictures.py PORT TOKEN PROGRAM."""

import base64
import http.server
import json
import struct
import subprocess
import sys
import threading
import zlib

import openai

port, token, program = sys.argv[1:]
seen = []


def check(what, is_so):
    if not is_so:
        sys.exit(f"FAILED: {what}")
    print(f"ok: {what}")


class Model(http.server.BaseHTTPRequestHandler):
    """Says the same to everything, and keeps what it was asked."""

    def do_POST(self):
        seen.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        events = [
            {"choices": [{"index": 0, "delta": {"content": "a red dot"}}]},
            {
                "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 9, "completion_tokens": 3},
            },
        ]
        body = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


def png():
    """One red dot."""
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    dot = zlib.compress(b"\0\xff\0\0")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", dot) + chunk(b"IEND", b"")


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model)
threading.Thread(target=server.serve_forever, daemon=True).start()
provider = {
    "baseUrl": f"http://127.0.0.1:{server.server_port}/v1",
    "models": [{"id": "one", "input": ["text", "image"]}],
}
agents = [{"id": "main"}, {"id": "seer", "model": "eyes/one"}]
for path, value in [("models.providers.eyes", provider), ("agents.list", agents)]:
    subprocess.run([program, "config", "set", path, json.dumps(value)], check=True, stdout=subprocess.DEVNULL)

client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=token, max_retries=0)
picture = base64.b64encode(png()).decode()
url = f"data:image/png;base64,{picture}"
note = base64.b64encode(b"the note says teal").decode()


def asked():
    """What the model was asked last: its texts, and the addresses of its pictures."""
    parts = [message["content"] for message in seen[-1]["messages"] if message["role"] == "user"][-1]
    parts = [{"type": "text", "text": parts}] if isinstance(parts, str) else parts
    pictures = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    return "".join(part.get("text", "") for part in parts), pictures


ask = [
    {
        "role": "user",
        "content": [{"type": "text", "text": "what is this?"}, {"type": "image_url", "image_url": {"url": url}}],
    }
]
answer = client.chat.completions.create(model="clawdia:seer", messages=ask)
check("a completion about a picture", answer.choices[0].message.content == "a red dot")
text, pictures = asked()
check("the model has the completion's picture, byte by byte", pictures == [url] and "what is this?" in text)

stream = client.chat.completions.create(model="clawdia:seer", messages=ask, stream=True)
said = "".join(choice.delta.content or "" for chunk in stream for choice in chunk.choices)
check("the same as a stream", said == "a red dot" and asked()[1] == [url])

given = [
    {
        "role": "user",
        "content": [
            {"type": "input_text", "text": "what is this?"},
            {"type": "input_image", "image_url": url, "detail": "auto"},
            {"type": "input_file", "filename": "note.txt", "file_data": f"data:text/plain;base64,{note}"},
        ],
    }
]
answer = client.responses.create(model="clawdia:seer", input=given)
check("a response about a picture and a text", answer.output_text == "a red dot")
text, pictures = asked()
check("the model has the response's picture and text", pictures == [url] and "the note says teal" in text)

ask[0]["content"][1]["image_url"]["url"] = "data:image/png;base64," + base64.b64encode(b"no picture").decode()
count = len(seen)
try:
    client.chat.completions.create(model="clawdia:seer", messages=ask)
    check("what is no picture is refused", False)
except openai.BadRequestError as fault:
    check(f"what is no picture is refused: {fault}", len(seen) == count)
