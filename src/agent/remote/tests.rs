// What reads a request is the same for the servers of all tests.
#[path = "../../../tests/support/http.rs"]
mod http;

use self::http::{Seen, request};
use super::anthropic::Anthropic;
use super::openai::OpenAi;
use super::{Protocol, Remote};
use crate::agent::{
    Answered, Api, CancelToken, ChatMessage, Endpoint, Facts, FailureKind, ModelRef, Provider,
    Reply, RunTag, Speaker, Step, StepError, StepSink, Stop, StopReason, Thinking, ToolCall,
    ToolSpec, Usage,
};
use crate::config::Secret;
use crate::limits::{
    MODEL_EVENT_BYTES_MAX, MODEL_STREAM_BYTES_MAX, MODEL_TRIES_MAX, STEP_CALLS_SENT_MAX,
};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

mod hostile;
mod pictures;

const KEY: &str = "sk-a-very-secret-key";

/// A server that answers each connection with the next of these, written piece by piece.
struct Server {
    base_url: String,
    seen: Receiver<Seen>,
}

impl Server {
    fn start(answers: Vec<Vec<Vec<u8>>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let (tell, seen) = channel();
        std::thread::spawn(move || {
            for pieces in answers {
                let (mut socket, _) = listener.accept().unwrap();
                let _ = tell.send(request(&socket));
                for piece in pieces {
                    if socket.write_all(&piece).is_err() {
                        break;
                    }
                    // So that each piece arrives by itself.
                    std::thread::sleep(std::time::Duration::from_millis(2));
                }
            }
        });
        Self { base_url, seen }
    }

    fn says(events: &[Value]) -> Self {
        Self::start(vec![stream(events)])
    }
}

const HEAD: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";

fn stream(events: &[Value]) -> Vec<Vec<u8>> {
    let events = events
        .iter()
        .map(|event| format!("data: {event}\n\n").into());
    std::iter::once(HEAD.into()).chain(events).collect()
}

fn status(line: &str, body: &str) -> Vec<Vec<u8>> {
    let text = format!(
        "HTTP/1.1 {line}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    vec![text.into()]
}

/// Keeps what was said.
#[derive(Default)]
struct Said {
    text: String,
    pauses_ms: Vec<u64>,
    cancel: CancelToken,
    remaining_ms: Option<u64>,
}

impl StepSink for Said {
    fn delta(&mut self, text: &str) -> Result<(), Stop> {
        self.text.push_str(text);
        self.pause(0)
    }

    fn pause(&mut self, time_ms: u64) -> Result<(), Stop> {
        if time_ms > 0 {
            self.pauses_ms.push(time_ms);
            // So that a program which is waited for gets on; nobody waits here for a slow server.
            std::thread::sleep(std::time::Duration::from_millis(time_ms.min(10)));
        }
        match self.cancel.is_cancelled() {
            true => Err(Stop::Cancelled),
            false => Ok(()),
        }
    }

    fn remaining_ms(&self) -> u64 {
        self.remaining_ms.unwrap_or(30_000)
    }
}

fn message(speaker: Speaker, text: &str) -> ChatMessage {
    ChatMessage {
        speaker,
        text: text.into(),
        images: Vec::new(),
        unix_ms: 0,
    }
}

fn step(api: Api, base_url: &str) -> Step {
    let call = ToolCall {
        id: "c1".into(),
        name: "nodes".into(),
        arguments: r#"{"action":"list"}"#.into(),
    };
    let answered = Answered {
        call_id: "c1".into(),
        name: "nodes".into(),
        is_error: false,
    };
    Step {
        tag: RunTag {
            run: 1,
            generation: 1,
        },
        model: ModelRef::new("mine", "model-1"),
        endpoint: Some(Arc::new(Endpoint {
            api,
            base_url: base_url.to_owned(),
            key: Some(Secret::new(KEY)),
            key_source: None,
            is_bearer: false,
            headers: vec![("x-team".into(), Secret::new("blue-and-secret"))],
            max_tokens: None,
            reasoning: true,
        })),
        system_prompt: "Be brief.".into(),
        messages: vec![
            message(Speaker::User, "who is there?"),
            message(Speaker::Assistant { calls: vec![call] }, ""),
            message(Speaker::Tool(answered), "nobody"),
            message(Speaker::User, "sure?"),
        ],
        tools: Arc::new([ToolSpec {
            name: "nodes".into(),
            description: "what nodes do".into(),
            schema: r#"{"type":"object","properties":{}}"#.into(),
        }]),
        thinking: Thinking::Medium,
        session_key: "agent:main:main".into(),
        facts: Arc::new(Facts::default()),
        deadline_mono_ms: u64::MAX,
        cancel: CancelToken::new(),
        seed: 7,
    }
}

fn ask<P: Protocol>(server: &Server, said: &mut Said) -> Result<Reply, StepError> {
    let mut step = step(P::API, &server.base_url);
    step.cancel = said.cancel.clone();
    Remote::<P>::default().step(&step, said)
}

/// How a request fails that the server answers so.
fn fault(answers: Vec<Vec<Vec<u8>>>) -> (FailureKind, String) {
    let server = Server::start(answers);
    match ask::<OpenAi>(&server, &mut Said::default()) {
        Err(StepError::Failed { kind, message, .. }) => {
            assert!(message.starts_with("mine/model-1: "), "{message}");
            (kind, message)
        }
        other => panic!("{other:?}"),
    }
}

fn chunk(delta: Value, finish: Option<&str>) -> Value {
    json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
}

#[test]
fn a_conversation_is_asked_and_answered_in_openais_words() {
    let server = Server::says(&[
        chunk(json!({"role": "assistant", "content": ""}), None),
        chunk(json!({"content": "No"}), None),
        chunk(json!({"content": "body."}), Some("stop")),
        json!({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2,
            "prompt_tokens_details": {"cached_tokens": 4}}}),
    ]);
    let mut said = Said::default();
    let reply = ask::<OpenAi>(&server, &mut said).unwrap();
    assert_eq!(said.text, "Nobody.");
    let usage = Usage {
        input: 5,
        output: 2,
        cache_read: 4,
        cache_write: 0,
    };
    assert_eq!((reply.usage, reply.stop_reason), (usage, StopReason::Stop));
    let (head, body) = server.seen.recv().unwrap();
    let head = head.to_lowercase();
    assert!(
        head.starts_with("post /chat/completions http/1.1"),
        "{head}"
    );
    assert!(
        head.contains(&format!("authorization: bearer {KEY}")),
        "{head}"
    );
    assert!(head.contains("x-team: blue-and-secret"), "{head}");
    assert_eq!(
        (&body["model"], &body["stream"]),
        (&json!("model-1"), &json!(true))
    );
    assert_eq!(body["reasoning_effort"], "medium");
    assert_eq!(body["tools"][0]["function"]["name"], "nodes");
    assert_eq!(body["tools"][0]["function"]["parameters"]["type"], "object");
    let messages = body["messages"].as_array().unwrap();
    let roles: Vec<&str> = messages
        .iter()
        .map(|it| it["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool", "user"]);
    assert_eq!(messages[2]["content"], Value::Null);
    assert_eq!(
        messages[2]["tool_calls"][0]["function"]["arguments"],
        r#"{"action":"list"}"#
    );
    assert_eq!(
        messages[3],
        json!({"role": "tool", "tool_call_id": "c1", "content": "nobody"})
    );
}

#[test]
fn tools_are_asked_for_in_pieces_and_without_ids() {
    let piece = |index: u64, function: Value| {
        chunk(
            json!({"tool_calls": [{"index": index, "function": function}]}),
            None,
        )
    };
    let server = Server::says(&[
        chunk(json!({"content": "Let me look."}), None),
        chunk(
            json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "nodes", "arguments": ""}}]}),
            None,
        ),
        piece(0, json!({"arguments": "{\"action\":"})),
        piece(1, json!({"name": "sessions", "arguments": "{}"})),
        piece(0, json!({"arguments": "\"list\"}"})),
        chunk(json!({}), Some("tool_calls")),
    ]);
    let mut said = Said::default();
    let reply = ask::<OpenAi>(&server, &mut said).unwrap();
    assert_eq!(said.text, "Let me look.");
    assert_eq!(reply.stop_reason, StopReason::ToolUse);
    assert_eq!(&*reply.calls[0].arguments, r#"{"action":"list"}"#);
    assert_eq!((&*reply.calls[0].id, &*reply.calls[0].name), ("a", "nodes"));
    assert_eq!(&*reply.calls[1].name, "sessions");
    assert!(
        reply.calls[1].id.starts_with("call_"),
        "{}",
        reply.calls[1].id
    );
}

#[test]
fn the_same_in_anthropics_words() {
    let server = Server::says(&[
        json!({"type": "message_start", "message": {"usage": {"input_tokens": 9,
            "cache_read_input_tokens": 4, "cache_creation_input_tokens": 1, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "ping"}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Let me look."}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "content_block_start", "index": 1,
            "content_block": {"type": "tool_use", "id": "t1", "name": "nodes", "input": {}}}),
        json!({"type": "content_block_delta", "index": 1,
            "delta": {"type": "input_json_delta", "partial_json": "{\"action\":"}}),
        json!({"type": "content_block_delta", "index": 1,
            "delta": {"type": "input_json_delta", "partial_json": "\"list\"}"}}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 12}}),
        json!({"type": "message_stop"}),
    ]);
    let mut said = Said::default();
    let reply = ask::<Anthropic>(&server, &mut said).unwrap();
    assert_eq!(said.text, "Let me look.");
    assert_eq!(reply.stop_reason, StopReason::ToolUse);
    assert_eq!(
        (&*reply.calls[0].id, &*reply.calls[0].arguments),
        ("t1", r#"{"action":"list"}"#)
    );
    let usage = Usage {
        input: 9,
        output: 12,
        cache_read: 4,
        cache_write: 1,
    };
    assert_eq!(reply.usage, usage);
    let (head, body) = server.seen.recv().unwrap();
    let head = head.to_lowercase();
    assert!(head.starts_with("post /v1/messages http/1.1"), "{head}");
    assert!(head.contains(&format!("x-api-key: {KEY}")), "{head}");
    assert!(head.contains("anthropic-version: 2023-06-01"), "{head}");
    assert_eq!(body["system"], "Be brief.");
    assert_eq!(body["tools"][0]["input_schema"]["type"], "object");
    let messages = body["messages"].as_array().unwrap();
    let roles: Vec<&str> = messages
        .iter()
        .map(|it| it["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["user", "assistant", "user"], "turns alternate");
    assert_eq!(messages[1]["content"][0]["input"]["action"], "list");
    assert_eq!(messages[2]["content"][0]["tool_use_id"], "c1");
    assert_eq!(messages[2]["content"][1]["text"], "sure?");
}

#[test]
fn a_server_that_is_busy_is_asked_again_when_it_says() {
    let server = Server::start(vec![
        status("500 Oops", "{}"),
        status("429 Slow down\r\nRetry-After: 3", "{}"),
        stream(&[chunk(json!({"content": "here"}), Some("stop"))]),
    ]);
    let mut said = Said::default();
    ask::<OpenAi>(&server, &mut said).unwrap();
    assert_eq!(said.text, "here");
    assert_eq!(said.pauses_ms.len(), 2);
    assert!(
        (500..=1_000).contains(&said.pauses_ms[0]),
        "{:?}",
        said.pauses_ms
    );
    assert_eq!(said.pauses_ms[1], 3_000);
    let all = (0..MODEL_TRIES_MAX).map(|_| status("503 Busy", "{\"error\":\"warming up\"}"));
    let (kind, text) = fault(all.collect());
    assert_eq!(kind, FailureKind::Network);
    assert!(text.ends_with("it failed with 503: warming up"), "{text}");
    // Longer than anybody waits: the next model may do better.
    let (kind, _) = fault(vec![status("429 No\r\nRetry-After: 9999", "{}")]);
    assert_eq!(kind, FailureKind::RateLimited);
}

#[test]
fn a_refusal_is_told_without_our_key() {
    let body = json!({"error": {"message": format!("wrong key {KEY} for blue-and-secret")}});
    let (kind, text) = fault(vec![status("401 No", &body.to_string())]);
    assert_eq!(kind, FailureKind::Auth);
    assert!(
        text.contains("it refused the key with 401: wrong key … for …"),
        "{text}"
    );
    for (line, expected, words) in [
        ("403 No", FailureKind::Auth, "refused the key"),
        (
            "404 No",
            FailureKind::UnknownModel,
            "it answered 404: without a word",
        ),
        ("400 No", FailureKind::Refused, "it refused with 400"),
        (
            "302 There\r\nLocation: http://127.0.0.1:1/",
            FailureKind::Refused,
            "mend its baseUrl",
        ),
    ] {
        let (kind, text) = fault(vec![status(line, "")]);
        assert_eq!(kind, expected, "{line}");
        assert!(text.contains(words), "{text}");
    }
    let step = format!("{:?}", step(Api::OpenAiCompletions, "http://h"));
    assert!(!step.contains(KEY) && !step.contains("blue"), "{step}");
}

#[test]
fn nonsense_is_an_error_that_says_what_came() {
    let html = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\n<p>hi";
    let lines = |text: &[u8]| vec![vec![HEAD.into(), text.to_vec()]];
    let error = json!({"error": {"message": "out of memory"}}).to_string();
    for (answers, kind, words) in [
        (
            vec![vec![html.into()]],
            FailureKind::Refused,
            "text/html and not with a stream of events: <p>hi",
        ),
        (
            lines(b"data: {\"choices\"\n\n"),
            FailureKind::Network,
            "an event that is no JSON",
        ),
        (
            lines(b"data: {\"choices\":[]}\n\n"),
            FailureKind::Network,
            "broke off before its end",
        ),
        (lines(b""), FailureKind::Network, "broke off before its end"),
        (
            lines(b"data: \xff\xfe\n\n"),
            FailureKind::Network,
            "bytes that are no text",
        ),
        (
            lines(format!("data: {error}\n\n").as_bytes()),
            FailureKind::Network,
            "it failed: out of memory",
        ),
        (
            lines(&vec![b'x'; MODEL_EVENT_BYTES_MAX + 20_000]),
            FailureKind::TooLong,
            "an event of more than",
        ),
        (
            vec![stream(&many_calls())],
            FailureKind::TooLong,
            "more tools than can be run",
        ),
    ] {
        let (got, text) = fault(answers);
        assert_eq!(got, kind, "{text}");
        assert!(text.contains(words), "{text}");
    }
    let nobody = Server {
        base_url: "http://127.0.0.1:1".into(),
        seen: channel().1,
    };
    let mut said = Said::default();
    let error = ask::<OpenAi>(&nobody, &mut said).unwrap_err();
    let text = format!("{error:?}");
    assert!(
        text.contains("http://127.0.0.1:1/chat/completions cannot be reached"),
        "{text}"
    );
    assert_eq!(said.pauses_ms.len() as u32, MODEL_TRIES_MAX - 1);
}

fn many_calls() -> Vec<Value> {
    let call = |index: usize| json!({"index": index, "id": format!("c{index}"), "function": {}});
    let calls: Vec<Value> = (0..=STEP_CALLS_SENT_MAX).map(call).collect();
    vec![chunk(json!({"tool_calls": calls}), Some("tool_calls"))]
}

#[test]
fn how_a_stream_is_cut_changes_nothing() {
    let event = chunk(json!({"content": "Grüße 🦀"}), Some("stop"));
    let text = format!(": hello\r\nevent: x\r\ndata: {event}\r\n\r\ndata: [DONE]\n\n");
    let bytes: Vec<Vec<u8>> = text.bytes().map(|byte| vec![byte]).collect();
    let pieces = std::iter::once(HEAD.into()).chain(bytes).collect();
    let mut said = Said::default();
    ask::<OpenAi>(&Server::start(vec![pieces]), &mut said).unwrap();
    assert_eq!(said.text, "Grüße 🦀");
    // Without the blank line behind the last event.
    let text = format!("{HEAD}data: {event}");
    let mut said = Said::default();
    ask::<OpenAi>(&Server::start(vec![vec![text.into()]]), &mut said).unwrap();
    assert_eq!(said.text, "Grüße 🦀");
}

#[test]
fn an_abort_cuts_the_connection_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, cut) = channel();
    let said = Said::default();
    let cancel = said.cancel.clone();
    let server = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        request(&socket);
        let event = chunk(json!({"content": "and so on "}), None);
        socket
            .write_all(format!("{HEAD}data: {event}\n\n").as_bytes())
            .unwrap();
        cancel.cancel();
        // Nothing more is said: only the end of the connection wakes this up.
        let left = socket.read(&mut [0; 16]).unwrap_or(0);
        tell.send(left).unwrap();
    });
    let server_seen = Server {
        base_url,
        seen: channel().1,
    };
    let mut said = said;
    let started = std::time::Instant::now();
    let error = ask::<OpenAi>(&server_seen, &mut said).unwrap_err();
    assert_eq!(error, StepError::Stopped(Stop::Cancelled));
    assert_eq!(cut.recv().unwrap(), 0);
    server.join().unwrap();
    assert!(started.elapsed().as_secs() < 10);
}

#[test]
fn a_server_that_says_nothing_is_given_up_with_the_step() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Server {
        base_url: format!("http://{}", listener.local_addr().unwrap()),
        seen: channel().1,
    };
    let mut said = Said {
        remaining_ms: Some(200),
        ..Said::default()
    };
    let error = format!("{:?}", ask::<OpenAi>(&server, &mut said).unwrap_err());
    assert!(error.contains("did not answer in time"), "{error}");
}
