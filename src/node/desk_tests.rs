use super::*;
use crate::node::commands::ApprovalsPath;
use crate::node::flow::Flow;
use std::os::unix::net::UnixStream;

/// A desk with a policy that allows everything.
struct Office {
    dir: tempfile::TempDir,
    desk: Desk,
    wake: Wake,
    stop: UnixStream,
}

impl Office {
    fn new() -> Self {
        Self::at(tempfile::tempdir().unwrap())
    }

    fn at(dir: tempfile::TempDir) -> Self {
        let file = r#"{"version":1,"defaults":{"security":"full","ask":"off"},"agents":{}}"#;
        std::fs::write(dir.path().join("exec-approvals.json"), file).unwrap();
        let (stop, read) = UnixStream::pair().unwrap();
        let context = Context {
            approvals: ApprovalsPath::new(dir.path()),
            home: Some(dir.path().to_owned()),
            browser: None,
            flow: Flow::default(),
            stop: read.into(),
        };
        let wake = Wake::new().unwrap();
        let journal = Journal::open(&dir.path().join("journal.sqlite"), 0).unwrap();
        let desk = Desk::new(journal, context, &wake).unwrap();
        Self {
            dir,
            desk,
            wake,
            stop,
        }
    }

    /// The process ends without a word, and another begins.
    fn crash(self) -> Self {
        drop(self.desk);
        Self::at(self.dir)
    }

    /// Works until `done` has what it waits for.
    fn until(&mut self, what: &str, mut done: impl FnMut(&Outgoing) -> bool) -> Vec<Outgoing> {
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut all = Vec::new();
        loop {
            let outgoing = self.desk.work();
            let found = outgoing.iter().any(&mut done);
            all.extend(outgoing);
            if found {
                return all;
            }
            assert!(Instant::now() < deadline, "{what}: {all:?}");
            self.wake
                .wait(Some(Instant::now() + Duration::from_millis(100)));
        }
    }

    /// Works until call `id` is answered.
    fn answer(&mut self, id: &str) -> Value {
        let all = self.until(id, |out| is_result(out, id));
        all.into_iter()
            .find(|out| is_result(out, id))
            .unwrap()
            .params
    }

    fn lines(&self, file: &str) -> usize {
        let text = std::fs::read_to_string(self.dir.path().join(file)).unwrap_or_default();
        text.lines().count()
    }
}

fn is_result(out: &Outgoing, id: &str) -> bool {
    out.method == "node.invoke.result" && out.params["id"] == id
}

fn call(id: &str, key: &str, script: &str) -> Invoke {
    Invoke {
        progress: false,
        id: id.into(),
        node_id: "n".into(),
        command: "system.run".into(),
        params: json!({"command": script}).to_string(),
        timeout_ms: Some(60_000),
        key: (!key.is_empty()).then(|| key.into()),
    }
}

const COUNT: &str = "echo x >> count";

#[test]
fn a_repeat_hears_the_same_answer_and_does_not_act_again() {
    let mut office = Office::new();
    assert_eq!(office.desk.take(call("1", "k", COUNT)), None);
    let first = office.answer("1");
    assert_eq!(first["ok"], true);
    let again = office.desk.take(call("2", "k", COUNT)).unwrap().params;
    assert_eq!(again["payloadJSON"], first["payloadJSON"]);
    let mut later = office.crash();
    let again = later.desk.take(call("3", "k", COUNT)).unwrap().params;
    assert_eq!(
        (&again["id"], &again["payloadJSON"]),
        (&json!("3"), &first["payloadJSON"])
    );
    assert_eq!(later.lines("count"), 1);
    let other = later
        .desk
        .take(call("4", "k", "echo other"))
        .unwrap()
        .params;
    assert_eq!(other["error"]["code"], "INVALID_REQUEST");
}

#[test]
fn a_repeat_while_it_runs_waits_for_the_same_end() {
    let mut office = Office::new();
    let script = "echo x >> count; while [ ! -e go ]; do sleep 0.01; done";
    office.desk.take(call("1", "k", script));
    office.until("the start", |out| out.params["event"] == "exec.started");
    // The gateway was restarted: it knows nothing of call 1, and asks again.
    office.desk.lost();
    assert_eq!(office.desk.take(call("2", "k", script)), None);
    let other = office.desk.take(call("3", "k", COUNT)).unwrap();
    assert_eq!(other.params["error"]["code"], "INVALID_REQUEST");
    std::fs::write(office.dir.path().join("go"), "").unwrap();
    let all = office.until("2", |out| is_result(out, "2"));
    assert!(!all.iter().any(|out| is_result(out, "1")));
    // Its events belong to the connection that is gone.
    assert!(!all.iter().any(|out| out.method == "node.event"), "{all:?}");
    assert_eq!(office.lines("count"), 1);
}

#[test]
fn what_was_begun_before_a_crash_is_unknown_and_never_begun_again() {
    let mut office = Office::new();
    office
        .desk
        .take(call("1", "k", "echo x >> count; exec sleep 60"));
    office.until("the start", |out| out.params["event"] == "exec.started");
    let mut later = office.crash();
    for id in ["2", "3"] {
        let answer = later
            .desk
            .take(call(id, "k", "echo x >> count; exec sleep 60"))
            .unwrap();
        assert_eq!(answer.params["error"]["code"], "INTERRUPTED");
    }
    assert!(later.desk.work().is_empty());
}

#[test]
fn a_call_without_a_key_is_no_repeat() {
    let mut office = Office::new();
    for id in ["1", "2"] {
        assert_eq!(office.desk.take(call(id, "", COUNT)), None);
        office.answer(id);
    }
    assert_eq!(office.lines("count"), 2);
}

#[test]
fn only_so_many_run_at_a_time_and_who_waits_too_long_never_begins() {
    let mut office = Office::new();
    let script = "echo x >> count; while [ ! -e go ]; do sleep 0.05; done";
    for number in 0..=NODE_RUNS_MAX {
        office.desk.take(call(&format!("{number}"), "", script));
    }
    let mut late = call("late", "late", COUNT);
    late.timeout_ms = Some(1);
    office.desk.take(late.clone());
    let answer = office.answer("late");
    assert_eq!(answer["error"]["code"], "TIMEOUT");
    assert_eq!(office.desk.runs(), NODE_RUNS_MAX);
    for number in 0..=NODE_CALLS_QUEUED_MAX {
        let answer = office.desk.take(call(&format!("q{number}"), "", "true"));
        // One of the first waits already.
        assert_eq!(
            answer.is_some(),
            number >= NODE_CALLS_QUEUED_MAX - 1,
            "{number}"
        );
    }
    // What has not begun is given up with its connection.
    office.desk.lost();
    std::fs::write(office.dir.path().join("go"), "").unwrap();
    while office.desk.runs() > 0 {
        office.desk.work();
        office
            .wake
            .wait(Some(Instant::now() + Duration::from_millis(50)));
    }
    assert_eq!(office.lines("count"), NODE_RUNS_MAX);
    // It never began, so it may now.
    late.timeout_ms = None;
    assert_eq!(office.desk.take(late), None);
    office.answer("late");
}

#[test]
fn a_stop_kills_what_runs_and_says_so() {
    let mut office = Office::new();
    office.desk.take(call("1", "k", "sleep 60 & sleep 60"));
    office.until("the start", |out| out.params["event"] == "exec.started");
    let began = Instant::now();
    let outgoing = office.desk.stop(&mut office.stop);
    assert!(began.elapsed() < Duration::from_secs(30));
    let answer = outgoing.iter().find(|out| is_result(out, "1")).unwrap();
    assert_eq!(answer.params["error"]["code"], "INTERRUPTED");
    let mut later = office.crash();
    let again = later
        .desk
        .take(call("2", "k", "sleep 60 & sleep 60"))
        .unwrap();
    assert_eq!(again.params["error"]["code"], "INTERRUPTED");
}
