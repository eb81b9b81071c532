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
