"""OpenAI's library against the gateway on a port: python3 client.py PORT TOKEN."""

import sys

import openai

port, token = sys.argv[1:]
base = f"http://127.0.0.1:{port}/v1"
client = openai.OpenAI(base_url=base, api_key=token, max_retries=0)
ask = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "say the tide is coming in"}]
WORDS = "the tide is coming in"


def check(what, is_so):
    if not is_so:
        sys.exit(f"FAILED: {what}")
    print(f"ok: {what}")


whole = client.chat.completions.create(model="clawdia:main", messages=ask)
check("a completion", WORDS in whole.choices[0].message.content and whole.choices[0].finish_reason == "stop")
check("its usage", whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens)

pieces, usage = [], None
stream = client.chat.completions.create(
    model="clawdia", messages=ask, stream=True, stream_options={"include_usage": True}
)
for chunk in stream:
    usage = chunk.usage or usage
    pieces += [choice.delta.content for choice in chunk.choices if choice.delta.content]
check(f"a completion in {len(pieces)} pieces", len(pieces) > 1 and WORDS in "".join(pieces))
check("usage at its end", usage is not None)

answer = client.responses.create(model="clawdia", input="say the tide is coming in")
check("a response", WORDS in answer.output_text and answer.status == "completed")

deltas, last = [], None
for event in client.responses.create(model="clawdia", input=ask, stream=True, user="ann"):
    last = event
    if event.type == "response.output_text.delta":
        deltas.append(event.delta)
check(f"a response in {len(deltas)} pieces", len(deltas) > 1 and WORDS in "".join(deltas))
check("its last event", last.type == "response.completed" and last.response.output_text == "".join(deltas))

with client.responses.stream(model="clawdia", input="say the tide is coming in") as events:
    for event in events:
        pass
    check("the library's own reading of the stream", WORDS in events.get_final_response().output_text)

check("the agents as models", [model.id for model in client.models.list()] == ["clawdia:main"])

for name, wrong, expected in [
    ("a wrong key", lambda: client.with_options(api_key="no").models.list(), openai.AuthenticationError),
    ("an unknown agent", lambda: client.responses.create(model="clawdia:none", input="x"), openai.NotFoundError),
    ("no message", lambda: client.chat.completions.create(model="clawdia", messages=[]), openai.BadRequestError),
]:
    try:
        wrong()
        check(f"{name} is refused", False)
    except expected as fault:
        check(f"{name} is refused: {fault}", fault.body["message"])
        if fault.status_code == 401:
            check("and the code says so", fault.code == "invalid_api_key")

long = "say " + "and on " * 4000
stream = client.chat.completions.create(
    model="clawdia", messages=[{"role": "user", "content": long}], stream=True, user="gone"
)
next(iter(stream))
stream.close()
print("went away")
