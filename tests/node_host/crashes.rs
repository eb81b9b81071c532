//! Whatever is killed, no call acts twice.

use rustix::process::Signal;

use crate::world::{World, until};

const SCRIPT: &str = "echo x >> count; while [ ! -e go ]; do sleep 0.02; done; echo done";

#[test]
fn a_call_that_a_killed_node_began_is_unknown_and_never_begun_again() {
    let (world, node) = World::with_node();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| world.shell("k", SCRIPT));
        until("the command runs", || world.lines("count") == 1);
        node.signal(Signal::KILL);
        node.wait();
        let answer = call.join().unwrap();
        assert_eq!(answer["ok"], false, "{answer}");
    });
    // A gateway that remembers nothing asks again.
    world.kill_gateway();
    world.start_gateway();
    let mut node = world.start(&[]);
    node.hear("connected");
    let answer = world.shell("k", SCRIPT);
    assert_eq!(
        answer["error"]["details"]["nodeError"]["code"], "INTERRUPTED",
        "{answer}"
    );
    assert_eq!(world.lines("count"), 1);
}

#[test]
fn a_call_that_a_killed_gateway_asked_for_is_answered_to_the_next_one() {
    let (world, mut node) = World::with_node();
    std::thread::scope(|scope| {
        // Killed before it answers, it answers nothing.
        scope.spawn(|| world.try_shell("k", SCRIPT));
        until("the command runs", || world.lines("count") == 1);
        world.kill_gateway();
    });
    world.start_gateway();
    node.hear("connected");
    std::thread::scope(|scope| {
        let call = scope.spawn(|| world.shell("k", SCRIPT));
        let home = world.node_home.state();
        std::fs::write(home.parent().unwrap().join("go"), "").unwrap();
        let answer = call.join().unwrap();
        assert_eq!(answer["payload"]["stdout"], "done\n", "{answer}");
    });
    world.kill_gateway();
    world.start_gateway();
    node.hear("connected");
    let answer = world.shell("k", SCRIPT);
    assert_eq!(
        answer["payload"]["stdout"], "done\n",
        "the journal knows: {answer}"
    );
    assert_eq!(world.lines("count"), 1);
}

#[test]
fn a_call_that_is_kept_for_a_node_runs_once_when_it_returns() {
    let (world, node) = World::with_node();
    drop(node);
    let script = "echo x >> count; echo done";
    let queued = world.queue("k", script);
    assert_eq!(queued["queued"], true, "{queued}");
    world.kill_gateway();
    world.start_gateway();
    let mut node = world.start(&[]);
    node.hear("connected");
    until("the node answers", || {
        world.queue("k", script)["payload"]["stdout"] == "done\n"
    });
    world.kill_gateway();
    drop(node);
    world.start_gateway();
    let mut node = world.start(&[]);
    node.hear("connected");
    assert_eq!(world.queue("k", script)["payload"]["stdout"], "done\n");
    assert_eq!(world.lines("count"), 1);
}

#[test]
fn a_kept_call_survives_kills_of_its_gateway_while_it_runs() {
    let (world, mut node) = World::with_node();
    std::thread::scope(|scope| {
        scope.spawn(|| world.try_queue("k", SCRIPT));
        until("the command runs", || world.lines("count") == 1);
        world.kill_gateway();
    });
    for _ in 0..3 {
        world.start_gateway();
        node.hear("connected");
        world.kill_gateway();
    }
    world.start_gateway();
    node.hear("connected");
    let home = world.node_home.state();
    std::fs::write(home.parent().unwrap().join("go"), "").unwrap();
    until("the node answers", || {
        world.queue("k", SCRIPT)["payload"]["stdout"] == "done\n"
    });
    assert_eq!(world.lines("count"), 1);
}

#[test]
fn a_kept_call_that_a_killed_node_began_is_not_begun_again() {
    let (world, node) = World::with_node();
    std::thread::scope(|scope| {
        scope.spawn(|| world.try_queue("k", SCRIPT));
        until("the command runs", || world.lines("count") == 1);
        node.signal(Signal::KILL);
        node.wait();
    });
    let mut node = world.start(&[]);
    node.hear("connected");
    let is_told = || {
        let answer = world.queue("k", SCRIPT);
        answer["error"]["details"]["nodeError"]["code"] == "INTERRUPTED"
    };
    until("the node says that nobody knows", is_told);
    assert_eq!(world.lines("count"), 1);
}
