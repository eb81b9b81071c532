//! Servers that never end, never begin, or want to be asked for ever.

use super::*;

/// A server that writes the same bytes until its peer has enough; gives how many it could write.
fn endless(head: &'static str, piece: Vec<u8>) -> (Server, Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, written) = channel();
    std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        request(&socket);
        let mut len = 0;
        let mut open = socket.write_all(head.as_bytes()).is_ok();
        while open && len < 4 * MODEL_STREAM_BYTES_MAX {
            open = socket.write_all(&piece).is_ok();
            len += piece.len();
        }
        let _ = tell.send(len);
    });
    let server = Server {
        base_url,
        seen: channel().1,
    };
    (server, written)
}

fn refused(server: &Server) -> (FailureKind, String) {
    match ask::<OpenAi>(server, &mut Said::default()) {
        Err(StepError::Failed { kind, message, .. }) => (kind, message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stream_without_an_end_is_left() {
    let mut comments = vec![b'x'; 1024 * 1024];
    comments[0] = b':';
    comments.push(b'\n');
    let (server, written) = endless(HEAD, comments);
    let (kind, text) = refused(&server);
    assert_eq!(kind, FailureKind::TooLong);
    assert!(text.contains("without an end"), "{text}");
    assert!(written.recv().unwrap() < 2 * MODEL_STREAM_BYTES_MAX);
}

#[test]
fn a_line_without_an_end_is_left_as_soon_as_it_is_too_long() {
    let (server, written) = endless(HEAD, vec![b'x'; 64 * 1024]);
    let (kind, text) = refused(&server);
    assert_eq!(kind, FailureKind::TooLong);
    assert!(text.contains("an event of more than"), "{text}");
    assert!(written.recv().unwrap() < MODEL_STREAM_BYTES_MAX);
}

#[test]
fn a_head_without_an_end_is_left() {
    let line = format!("X-More: {}\r\n", "y".repeat(1_000));
    let (server, written) = endless("HTTP/1.1 200 OK\r\n", line.into_bytes());
    let mut said = Said::default();
    // It is tried again, and nobody is there any more.
    assert!(ask::<OpenAi>(&server, &mut said).is_err());
    assert!(written.recv().unwrap() < MODEL_STREAM_BYTES_MAX);
}

#[test]
fn a_server_that_is_always_too_busy_is_asked_a_few_times_only() {
    let busy = || status("429 Slow down\r\nRetry-After: 7", "{}");
    let server = Server::start((0..2 * MODEL_TRIES_MAX).map(|_| busy()).collect());
    let mut said = Said::default();
    let error = ask::<OpenAi>(&server, &mut said).unwrap_err();
    let is_limited = matches!(
        &error,
        StepError::Failed {
            kind: FailureKind::RateLimited,
            ..
        }
    );
    assert!(is_limited, "{error:?}");
    assert_eq!(said.pauses_ms, vec![7_000; MODEL_TRIES_MAX as usize - 1]);
    assert_eq!(server.seen.try_iter().count(), MODEL_TRIES_MAX as usize);
}

#[test]
fn what_breaks_off_in_the_middle_is_no_answer() {
    let start = format!("data: {}\n\n", chunk(json!({"content": "half"}), None));
    let event = chunk(json!({"content": "ä"}), None).to_string();
    let at = event.find('ä').unwrap() + 1;
    let mut in_character = format!("{start}data: ").into_bytes();
    in_character.extend(&event.as_bytes()[..at]);
    let in_event = format!("{start}data: {{\"choi").into_bytes();
    let chunked = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: \
                   chunked\r\n\r\nffff\r\n";
    for answer in [
        vec![HEAD.into(), start.clone().into_bytes()],
        vec![HEAD.into(), in_event],
        vec![HEAD.into(), in_character],
        vec![chunked.into(), start.clone().into_bytes()],
        vec![chunked.replace("ffff", "fffffffffffffffffff").into()],
    ] {
        let server = Server::start(vec![answer]);
        let mut said = Said::default();
        let error = ask::<OpenAi>(&server, &mut said).unwrap_err();
        let StepError::Failed { kind, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!(kind, FailureKind::Network);
        assert!(
            said.pauses_ms.is_empty(),
            "what was said is not asked for twice"
        );
    }
}

#[test]
fn arguments_that_are_no_json_are_given_on_as_they_are() {
    let call =
        json!({"index": 0, "id": "c", "function": {"name": "nodes", "arguments": "{\"a\":"}});
    let events = [chunk(json!({"tool_calls": [call]}), Some("tool_calls"))];
    let reply = ask::<OpenAi>(&Server::says(&events), &mut Said::default()).unwrap();
    assert_eq!(&*reply.calls[0].arguments, "{\"a\":");
    let events = [
        json!({"type": "content_block_start", "index": 0,
               "content_block": {"type": "tool_use", "id": "t", "name": "nodes"}}),
        json!({"type": "content_block_delta", "index": 0,
               "delta": {"type": "input_json_delta", "partial_json": "[1,"}}),
        json!({"type": "message_stop"}),
    ];
    let reply = ask::<Anthropic>(&Server::says(&events), &mut Said::default()).unwrap();
    assert_eq!(&*reply.calls[0].arguments, "[1,");
}

#[test]
fn a_key_comes_from_a_file_or_a_command_and_is_never_told() {
    use crate::agent::KeySource;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key");
    std::fs::write(&file, "sk-from-a-file\nmore\n").unwrap();
    let file = file.to_str().unwrap().to_owned();
    let words = |text: &str| ["sh", "-c", text].map(str::to_owned).to_vec();
    let sources = [
        (KeySource::File(file), Some("sk-from-a-file")),
        (KeySource::File("/no/such/file".into()), None),
        (
            KeySource::Command(words("echo sk-from-a-command")),
            Some("sk-from-a-command"),
        ),
        (KeySource::Command(words("echo sk-half; exit 1")), None),
        (KeySource::Command(words("")), None),
        (KeySource::Command(vec!["/no/such/program".into()]), None),
    ];
    for (source, key) in sources {
        let server = Server::start(vec![status(
            "401 No",
            &format!("wrong: {}", key.unwrap_or("")),
        )]);
        let mut step = step(Api::OpenAiCompletions, &server.base_url);
        let endpoint = Endpoint::clone(step.endpoint.as_ref().unwrap());
        step.endpoint = Some(Arc::new(Endpoint {
            key: None,
            key_source: Some(source),
            ..endpoint
        }));
        let asked = Remote::<OpenAi>::default().step(&step, &mut Said::default());
        let Err(StepError::Failed { kind, message, .. }) = asked else {
            panic!("{asked:?}");
        };
        assert_eq!(kind, FailureKind::Auth);
        assert!(!message.contains("sk-"), "{message}");
        match key {
            Some(key) => {
                assert!(message.contains("wrong"), "it was never asked: {message}");
                let (head, _) = server.seen.recv().unwrap();
                assert!(head.contains(&format!("Bearer {key}")), "{head}");
            }
            None => assert!(message.contains("cannot be had"), "{message}"),
        }
    }
}
