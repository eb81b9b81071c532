use super::*;

/// A dialog with a server that is made up: what was sent is read as JSON.
struct Talk(Dialog);

impl Talk {
    fn sent(&mut self) -> Value {
        loop {
            match self.0.poll().expect("something is sent") {
                Event::Send { text, .. } => return serde_json::from_str(&text).unwrap(),
                Event::Over { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn news(&mut self) -> News {
        loop {
            match self.0.poll().expect("something is told") {
                Event::Tell(news) => return news,
                Event::Over { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn says(&mut self, value: Value) {
        self.0.hear(&value.to_string());
    }

    fn answers(&mut self, request: &Value, result: Value) {
        self.says(json!({"jsonrpc": "2.0", "id": request["id"], "result": result}));
    }

    /// Until it has listed these tools.
    fn up(tools: Value) -> Self {
        let mut talk = Self(Dialog::begin());
        let hello = talk.sent();
        talk.answers(&hello, initialized("2025-06-18"));
        assert_eq!(talk.sent()["method"], "notifications/initialized");
        let list = talk.sent();
        talk.answers(&list, json!({"tools": tools}));
        assert!(matches!(talk.news(), News::Up { .. }));
        talk
    }

    fn call(&mut self, ticket: u64) -> Value {
        let call = Call {
            tool: "add".into(),
            arguments: json!({"a": 1}),
        };
        self.0.call(ticket, call);
        self.sent()
    }
}

fn initialized(version: &str) -> Value {
    json!({"protocolVersion": version, "capabilities": {"tools": {}},
        "serverInfo": {"name": "sums", "version": "1"}})
}

fn tool(name: &str) -> Value {
    json!({"name": name, "inputSchema": {"type": "object"}})
}

#[test]
fn it_begins_agrees_and_lists_all_pages() {
    let mut talk = Talk(Dialog::begin());
    let hello = talk.sent();
    assert_eq!(hello["method"], "initialize");
    assert_eq!(hello["params"]["protocolVersion"], "2025-06-18");
    talk.answers(&hello, initialized("2025-03-26"));
    assert_eq!(talk.sent()["method"], "notifications/initialized");
    assert_eq!(talk.0.version(), Some("2025-03-26"));
    let first = talk.sent();
    talk.answers(
        &first,
        json!({"tools": [tool("a"), 7], "nextCursor": "more"}),
    );
    let second = talk.sent();
    assert_eq!(second["params"]["cursor"], "more");
    assert!(!talk.0.is_up());
    talk.answers(&second, json!({"tools": [tool("b"), tool("a")]}));
    let News::Up { title, tools } = talk.news() else {
        panic!("it is not up");
    };
    let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!((title.as_str(), names), ("sums 1", vec!["a", "b"]));
}

#[test]
fn pages_without_an_end_and_tools_without_number_are_bounded() {
    let mut talk = Talk(Dialog::begin());
    let hello = talk.sent();
    talk.answers(&hello, initialized("2025-06-18"));
    talk.sent();
    for page in 0..MCP_PAGES_MAX {
        let list = talk.sent();
        let tools: Vec<Value> = (0..20).map(|n| tool(&format!("t{page}-{n}"))).collect();
        talk.answers(&list, json!({"tools": tools, "nextCursor": "x"}));
    }
    let News::Up { tools, .. } = talk.news() else {
        panic!("it is not up");
    };
    assert_eq!(tools.len(), MCP_TOOLS_MAX);
}

#[test]
fn a_server_of_another_time_or_that_refuses_is_of_no_use() {
    let mut talk = Talk(Dialog::begin());
    let hello = talk.sent();
    talk.answers(&hello, initialized("1999-01-01"));
    assert!(matches!(talk.0.poll(), Some(Event::Over { .. })));
    assert!(matches!(talk.0.poll(), Some(Event::Broken(fault)) if fault.contains("1999")));
    let mut talk = Talk(Dialog::begin());
    let hello = talk.sent();
    talk.0.fail(hello["id"].as_u64().unwrap(), "gone".into());
    assert!(matches!(talk.0.poll(), Some(Event::Over { .. })));
    assert!(matches!(talk.0.poll(), Some(Event::Broken(_))));
}

#[test]
fn calls_are_answered_each_by_its_own_and_late_answers_by_nobody() {
    let mut talk = Talk::up(json!([tool("add")]));
    let (one, two) = (talk.call(11), talk.call(12));
    assert_eq!(one["params"], json!({"name": "add", "arguments": {"a": 1}}));
    talk.answers(&two, json!({"content": [{"type": "text", "text": "two"}]}));
    let News::Done { ticket, result } = talk.news() else {
        panic!("no answer");
    };
    assert_eq!((ticket, result.unwrap().text.as_str()), (12, "two"));
    talk.0.cancel(11);
    let cancelled = talk.sent();
    assert_eq!(cancelled["method"], "notifications/cancelled");
    assert_eq!(cancelled["params"]["requestId"], one["id"]);
    talk.answers(&one, json!({"content": []}));
    assert_eq!(talk.0.poll(), None);
}

#[test]
fn more_calls_than_may_be_open_are_refused() {
    let mut talk = Talk::up(json!([tool("add")]));
    for ticket in 0..MCP_CALLS_MAX as u64 {
        talk.call(ticket);
    }
    talk.0.call(
        99,
        Call {
            tool: "add".into(),
            arguments: json!({}),
        },
    );
    assert!(matches!(
        talk.news(),
        News::Done {
            ticket: 99,
            result: Err(_)
        }
    ));
}

#[test]
fn a_change_of_the_list_while_it_is_read_is_read_after_it() {
    let mut talk = Talk::up(json!([]));
    let changed = json!({"method": "notifications/tools/list_changed"});
    talk.says(changed.clone());
    let list = talk.sent();
    talk.says(changed);
    talk.answers(&list, json!({"tools": [tool("old")]}));
    let again = talk.sent();
    talk.answers(&again, json!({"tools": [tool("new")]}));
    let News::Up { tools, .. } = talk.news() else {
        panic!("it is not up");
    };
    assert_eq!(tools[0].name, "new");
}

#[test]
fn a_servers_own_requests_are_answered_and_noise_is_not() {
    let mut talk = Talk::up(json!([]));
    talk.0.hear("listening on stdio");
    talk.says(json!({"id": 5, "method": "ping"}));
    assert_eq!(
        talk.sent(),
        json!({"jsonrpc": "2.0", "id": 5, "result": {}})
    );
    talk.says(json!({"id": 6, "method": "sampling/createMessage"}));
    assert_eq!(talk.sent()["error"]["code"], -32601);
}
